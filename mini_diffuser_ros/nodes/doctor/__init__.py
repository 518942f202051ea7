"""Looking round in the ROS graph, for `mini-diffuser doctor` and `mini-diffuser cameras`."""
