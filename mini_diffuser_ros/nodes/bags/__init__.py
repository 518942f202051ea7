"""Runs of the stack into bags, and bags back into what the stack would have heard."""
