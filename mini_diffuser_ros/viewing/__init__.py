"""What people look at: the report and the video of a run."""
