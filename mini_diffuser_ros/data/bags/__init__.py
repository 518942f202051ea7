"""Bags: one MCAP file a run, written while it runs, read whether or not it was ended."""
