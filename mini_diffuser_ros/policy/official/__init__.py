"""What only published checkpoints need; importing it loads no torch."""
