"""Helpers for sensor messages: a part of pocketros."""
