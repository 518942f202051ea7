"""From sensors to episodes on the disk: rests, keyframes, what was begun and not ended."""
