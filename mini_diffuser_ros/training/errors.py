"""What can go wrong in training through the user's doing; every message is one line that names thing and remedy."""

from collections.abc import Sequence

from mini_diffuser_ros.support.errors import UserError


class TrainingError(UserError, ValueError):
    """Base of the errors of this room."""


class DatasetError(TrainingError):
    """The episodes cannot be trained on; names the path or the episode."""


class StartError(TrainingError):
    """A policy cannot be gone on from with this recipe or these data; names what does not go together."""


class TrainingCheckpointError(TrainingError):
    """An output directory or checkpoint cannot be resumed from; names the file."""


class DivergedError(UserError, RuntimeError):
    """The loss is no longer finite; names the step."""

    exit_code = 1


class GpuMemoryError(UserError, RuntimeError):
    """The GPU's memory does not suffice; names the fields that help and what was reached."""

    exit_code = 1


MOST_NAMED = 4
"""Faults that are told in one line; of more, how many there are."""


def all_of(faults: Sequence[str]) -> str:
    """Several faults on one line."""
    if len(faults) == 1:
        return faults[0]
    more = f"; and {len(faults) - MOST_NAMED} more" if len(faults) > MOST_NAMED else ""
    return f"{len(faults)} things will not work: {'; '.join(faults[:MOST_NAMED])}{more}"
