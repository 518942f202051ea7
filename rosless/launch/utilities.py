"""What actions of one's own are written with."""

from __future__ import annotations

import os
from typing import Any

from rosless.errors import left_out

from launch.core import Substitution, perform_substitutions
from launch.substitutions import TextSubstitution


def normalize_to_list_of_substitutions(subs: Any) -> list[Substitution]:
    """Substitutions from a string, a path, a substitution or a sequence of them."""
    parts = [subs] if isinstance(subs, str | os.PathLike | Substitution) else list(subs)
    return [one if isinstance(one, Substitution) else TextSubstitution(text=os.fspath(one)) for one in parts]


__all__ = ["normalize_to_list_of_substitutions", "perform_substitutions"]
__getattr__ = left_out(__name__)
