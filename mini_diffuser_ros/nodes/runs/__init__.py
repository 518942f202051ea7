"""One sentence from start to end, watched and written down."""
