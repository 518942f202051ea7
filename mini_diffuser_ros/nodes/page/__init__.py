"""The ROS side of the page: what it hears, what it sees, what it says."""
