"""The loop from a sentence to its end: look, decide, move, until the task is done."""
