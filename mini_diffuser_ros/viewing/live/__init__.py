"""The page beside a running stack: what it shows and what it takes, without ROS."""
