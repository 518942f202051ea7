"""What may be wrong with a set-up: pure checks over a record of what was seen of it."""
