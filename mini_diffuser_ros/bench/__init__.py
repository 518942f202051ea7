"""Measurements of the network: time, memory, and how far it is from the published one."""
