"""ROS 2 interfaces at run time: definitions, message classes, their CDR encoding and the import hook."""
