"""Teaching a policy about itself: each part of its knowledge is learned here, on top of its frozen network."""
