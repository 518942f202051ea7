"""The simulated table in real time, and the controllers that the hardware would have."""
