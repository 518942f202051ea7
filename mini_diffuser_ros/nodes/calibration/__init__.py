"""What calibration needs of a running stack."""
