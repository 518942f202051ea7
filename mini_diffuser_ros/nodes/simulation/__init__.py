"""The actions that a Franka's drivers serve, on the simulated arm and gripper."""
