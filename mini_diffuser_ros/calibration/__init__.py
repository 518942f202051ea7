"""Calibration: lenses, where cameras are, the table, from a board or from the arm itself. Pure; boards need OpenCV."""
