"""The sentence encoders: a file each, whose name is the encoder's in a configuration. A file more is an encoder more.

Reading the names imports none of them, and no torch.
"""

from __future__ import annotations

import pkgutil


def encoder_names() -> tuple[str, ...]:
    """What ``text.encoder`` may be, in alphabetical order."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))
