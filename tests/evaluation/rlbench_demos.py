"""Writes stored demonstrations of RLBench that hold nothing but how they were laid out."""

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np

_FRESH = np.random.RandomState(0).get_state()


def write_layout(folder: Path, state: Any = _FRESH, variation: Any = 0, attempts: int | None = None) -> None:
    """One episode's folder: ``low_dim_obs.pkl``, and PerAct's ``variation_number.pkl``."""
    folder.mkdir(parents=True)
    module = ModuleType("rlbench.demo")
    demo = type("Demo", (), {"__module__": "rlbench.demo"})
    module.Demo = demo  # type: ignore[attr-defined]
    stored = demo()
    vars(stored).update(random_seed=state, num_reset_attempts=attempts, _observations=[])
    with patch.dict(sys.modules, {"rlbench": ModuleType("rlbench"), "rlbench.demo": module}):
        (folder / "low_dim_obs.pkl").write_bytes(pickle.dumps(stored, protocol=4))
    if folder.parents[1].name == "all_variations":
        (folder / "variation_number.pkl").write_bytes(pickle.dumps(variation, protocol=4))
