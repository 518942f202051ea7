"""What can go wrong in training through the user's doing; every message is one line that names thing and remedy."""

from mini_diffuser_ros.support.errors import UserError


class TrainingError(UserError, ValueError):
    """Base of the errors of this room."""


class DatasetError(TrainingError):
    """The episodes cannot be trained on; names the path or the episode."""


class TrainingCheckpointError(TrainingError):
    """An output directory or checkpoint cannot be resumed from; names the file."""


class DivergedError(UserError, RuntimeError):
    """The loss is no longer finite; names the step."""

    exit_code = 1


class GpuMemoryError(UserError, RuntimeError):
    """The GPU's memory does not suffice; names the fields that help and what was reached."""

    exit_code = 1
