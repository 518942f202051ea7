"""The ROS 2 nodes: thin processes around the rooms below, and the only code that imports rclpy.

``*_node.py`` hold one node each with its ``main``; the other modules are what they share. Names are relative, so that
a namespace moves the whole stack; in the root namespace they are those of the documentation.
"""
