"""The ROS 2 nodes: thin processes around the rooms below, and the only code that imports rclpy.

``*_node.py`` hold one node each; ``bringup.py`` says what a launch starts. What a node is made of lies in the folder of
its trade (``cameras``, ``policy``, ``motion``, ``simulation``, ``recording``, ``runs``), what all of them need in
``core``. Names are relative, so that a namespace moves the whole stack; in the root namespace they are those of the
documentation.
"""
