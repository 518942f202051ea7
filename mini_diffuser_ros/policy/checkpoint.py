"""Checkpoints: a directory of config.json, model.safetensors and README.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError, ConfigError
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.policy import Policy, checked_device
from mini_diffuser_ros.policy.text import SentenceEncoder

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"


def save_policy(model: MiniDiffuser, directory: str | os.PathLike[str], card: str | None = None) -> None:
    """Write a checkpoint directory; each file appears whole or not at all.

    Args:
        model: the network.
        directory: made where it does not exist; files of an older checkpoint in it are replaced.
        card: text of README.md (data, recipe, figures); a line with the size where None.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    partial = folder / f".{WEIGHTS_FILE}.partial"
    save_file(weights, partial)
    partial.replace(folder / WEIGHTS_FILE)
    _write(folder / CONFIG_FILE, json.dumps(model.config.to_dict(), indent=2) + "\n")
    parameters = sum(value.numel() for value in model.parameters())
    _write(folder / CARD_FILE, card if card is not None else f"# Mini Diffuser\n\n{parameters} parameters.\n")


def load_policy(
    directory: str | os.PathLike[str], device: str | torch.device = "cpu", text: SentenceEncoder | None = None
) -> Policy:
    """Read a checkpoint directory.

    Args:
        directory: as :func:`save_policy` wrote it.
        device: where decisions are computed.
        text: sentence encoder instead of the one the configuration names.

    Raises:
        CheckpointError: a file is missing or damaged, or a field or tensor does not fit; one line names it.
        ValueError: an unknown device.
    """
    target = checked_device(device)
    return Policy(load_model(directory), target, text)


def load_model(directory: str | os.PathLike[str]) -> MiniDiffuser:
    """The network of a checkpoint directory, on the CPU, without a sentence encoder.

    Raises:
        CheckpointError: as :func:`load_policy`.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such directory, expected one with {CONFIG_FILE} and {WEIGHTS_FILE}")
    model = MiniDiffuser(_read_config(folder / CONFIG_FILE))
    weights = _read_weights(folder / WEIGHTS_FILE)
    check_tensors(model.state_dict(), weights, str(folder / WEIGHTS_FILE))
    model.load_state_dict(weights)
    return model


def check_tensors(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor], source: str) -> None:
    """Compare tensors with what a network needs.

    Args:
        expected: tensors of the names, shapes and kinds of number that are wanted; their values do not matter.
        weights: what a file holds.
        source: the file's name, for the message.

    Raises:
        CheckpointError: tensors are missing, unexpected, misshapen, of another kind of number (whole or floating
            point) or not finite; all are named.
    """
    problems = [f"{name} is missing" for name in expected if name not in weights]
    problems += [f"{name} is unexpected" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        problem = _mismatch(expected[name], weights[name])
        problems += [f"{name} {problem}"] if problem else []
    if problems:
        raise CheckpointError(f"{source}: " + "; ".join(sorted(problems)))


def _mismatch(expected: Tensor, given: Tensor) -> str | None:
    if given.shape != expected.shape:
        return f"has shape {tuple(given.shape)}, expected {tuple(expected.shape)}"
    if given.is_complex() or given.is_floating_point() != expected.is_floating_point():
        return f"has numbers of type {_type(given)}, expected {_type(expected)}"
    return None if bool(torch.isfinite(given).all()) else "has values that are not finite"


def _type(values: Tensor) -> str:
    return str(values.dtype).removeprefix("torch.")


def _read_config(path: Path) -> MiniDiffuserConfig:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: missing") from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as JSON ({_first_line(error)})") from error
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: holds a {type(values).__name__}, expected an object of fields")
    try:
        return MiniDiffuserConfig.from_dict(values)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise CheckpointError(f"{path}: missing")
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors ({_first_line(error)})") from error


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
