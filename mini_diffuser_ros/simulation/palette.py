"""The colours of task objects: ten, far enough apart in RGB to stay distinct under shading."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

Rgb = tuple[float, float, float]

COLORS: Final = MappingProxyType[str, Rgb](
    {
        "red": (0.86, 0.06, 0.06),
        "orange": (1.00, 0.50, 0.00),
        "yellow": (0.98, 0.90, 0.08),
        "green": (0.08, 0.62, 0.12),
        "cyan": (0.10, 0.85, 0.88),
        "blue": (0.08, 0.16, 0.85),
        "purple": (0.48, 0.10, 0.66),
        "pink": (1.00, 0.52, 0.76),
        "white": (0.96, 0.96, 0.96),
        "black": (0.05, 0.05, 0.05),
    }
)

GREY: Final[Rgb] = (0.45, 0.45, 0.47)
TABLE: Final[Rgb] = (0.62, 0.55, 0.47)
CLAY: Final[Rgb] = (0.78, 0.66, 0.58)
