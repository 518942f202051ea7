"""What sensors say, without ROS: which images belong together, where the joints were, when the arm rests."""
