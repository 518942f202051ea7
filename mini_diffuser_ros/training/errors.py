"""What can go wrong in training through the user's doing; every message is one line that names thing and remedy."""


class TrainingError(ValueError):
    """Base of the errors of this room."""


class ConfigError(TrainingError):
    """A recipe (YAML file or command-line override) is not usable; names the file and the field."""


class DatasetError(TrainingError):
    """The episodes cannot be trained on; names the path or the episode."""


class CheckpointError(TrainingError):
    """An output directory or checkpoint cannot be resumed from; names the file."""


class DivergedError(RuntimeError):
    """The loss is no longer finite; names the step."""
