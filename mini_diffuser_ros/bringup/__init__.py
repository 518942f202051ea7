"""What a launch of the stack starts, and the executables that it starts; quick to import, rclpy comes later."""
