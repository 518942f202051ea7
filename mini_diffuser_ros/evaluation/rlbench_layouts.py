"""How episodes in RLBench are laid out: from seeds, or as stored demonstrations were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mini_diffuser_ros.data import DataError
from mini_diffuser_ros.data.formats.restricted_pickle import read_pickle
from mini_diffuser_ros.evaluation.protocol import EvaluationError
from mini_diffuser_ros.evaluation.rlbench_install import VARIANT
from mini_diffuser_ros.support.errors import one_line

GeneratorState = tuple[Any, ...]
"""State of numpy's global generator, in its own types alone, so that it can go to another process."""

_MOST_ATTEMPTS = 1000
_RAW = "variation*/episodes/episode*/low_dim_obs.pkl"
_PERACT = "all_variations/episodes/episode*/low_dim_obs.pkl"


@dataclass(frozen=True, eq=False)
class Layout:
    """One episode's.

    Attributes:
        variation: of the task.
        state: seed, or the generator's state that a demonstration was laid out from.
        attempts: placements that the demonstration took, which are repeated without their checks; None where it is not
            known, as only some of RLBench's recorders store it.
    """

    variation: int
    state: int | GeneratorState
    attempts: int | None = None


def stored_layouts(root: Path, names: Sequence[str], most: int = 0) -> list[Layout]:
    """Layouts of a task's stored demonstrations, in natural order of variation and episode.

    Both layouts of folders are known: ``<task>/variation<N>/episodes/episode<M>`` and PerAct's
    ``<task>/all_variations/episodes/episode<M>`` with ``variation_number.pkl`` inside.

    Args:
        root: folder of the tasks.
        names: of the task's folder; the first that holds demonstrations counts.
        most: so many of them, spread over all; 0 for all.

    Raises:
        EvaluationError: if there are none, or one cannot be read.
    """
    for name in names:
        files = sorted((root / name).glob(_RAW), key=_place) or sorted((root / name).glob(_PERACT), key=_place)
        if files:
            count = min(most or len(files), len(files))
            return [_layout(files[number * len(files) // count]) for number in range(count)]
    places = " or ".join(str(root / name) for name in names)
    raise EvaluationError(f"{places}: holds no {_RAW.replace('*', '<N>')}, and no {_PERACT.replace('*', '<N>')}")


def folder_names(task: str, file: str) -> tuple[str, ...]:
    """Names that the folder of a task's demonstrations may have, the one that its file has first."""
    plain = task.removesuffix(VARIANT)
    return tuple(dict.fromkeys((file, plain + VARIANT, plain)))


def _place(file: Path) -> tuple[int, int, str]:
    """Order of a file among others: numbers of variation and episode, as far as the folders have such."""
    variation = file.parents[2].name.removeprefix("variation")
    episode = file.parent.name.removeprefix("episode")
    return (
        int(variation) if variation.isdecimal() else 0,
        int(episode) if episode.isdecimal() else 0,
        str(file),
    )


def _layout(file: Path) -> Layout:
    try:
        demo = read_pickle(file)
        variation = _variation(file)
        state = _generator_state(file, getattr(demo, "random_seed", None))
    except DataError as error:
        raise EvaluationError(str(error)) from error
    attempts = getattr(demo, "num_reset_attempts", None)
    if attempts is not None and not (_is_whole(attempts) and 1 <= attempts <= _MOST_ATTEMPTS):
        raise EvaluationError(f"{file}: num_reset_attempts is {attempts!r:.40}, expected 1 to {_MOST_ATTEMPTS} or none")
    return Layout(variation, state, None if attempts is None else int(attempts))


def _variation(file: Path) -> int:
    folder = file.parents[2].name.removeprefix("variation")
    if folder.isdecimal():
        return int(folder)
    number_file = file.with_name("variation_number.pkl")
    number = read_pickle(number_file)
    if not _is_whole(number) or number < 0:
        raise EvaluationError(f"{number_file}: holds {number!r:.40}, expected a whole number of at least 0")
    return int(number)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _generator_state(file: Path, stored: Any) -> GeneratorState:
    random = np.random.RandomState()
    try:
        random.set_state(stored)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise EvaluationError(f"{file}: random_seed is no state of numpy's generator ({one_line(error)})") from error
    # Asked back: a file's own objects are none that a worker process could take.
    state: GeneratorState = tuple(random.get_state(legacy=True))
    _, words, place, *_ = state
    if not 0 <= place <= len(words):  # numpy would read what lies behind them
        raise EvaluationError(f"{file}: random_seed is at word {place} of its {len(words)}, expected 0 to {len(words)}")
    return state
