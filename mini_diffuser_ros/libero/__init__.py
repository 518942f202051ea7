"""LIBERO, a benchmark that others wrote, as a world to run sentences in."""
