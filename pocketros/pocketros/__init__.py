"""The private part of pocketros: ROS 2 interfaces, the DDS wire and the `ros2` command, without a ROS 2 installation.

Nothing here is an API.  Import `rclpy`, `launch`, `tf2_ros` and the message packages instead.
This module stays empty: every interpreter of the environment imports it at start.
"""
