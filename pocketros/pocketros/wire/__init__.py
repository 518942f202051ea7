"""DDS: participants, endpoints of ROS 2 topics and services, and the graph, all on Cyclone DDS."""
