"""What a training leaves in its output directory, by name."""

METRICS, RECIPE, TENSORBOARD = "metrics.jsonl", "recipe.yaml", "tensorboard"
"""Files and folder: figures of every step, the recipe with all of its fields, and what TensorBoard shows."""
