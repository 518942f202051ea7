"""Formats of demonstrations: one module each, which data/opening.py asks for what it finds at a path."""
