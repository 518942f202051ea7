"""The Mini Diffuser itself: from points, words and noised positions to noise and action logits."""
