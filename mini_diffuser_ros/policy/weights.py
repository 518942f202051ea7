"""The weights of a checkpoint: read only if they are those that config.json names, and make sense."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.support.errors import one_line
from mini_diffuser_ros.support.files import flush_folder
from mini_diffuser_ros.support.holding import Hold

_LARGEST = 1e6  # far above any weight or running variance of a network that computes in float32
_LOCK = ".writer"
_SHOWN = 12  # digits of a digest in messages


def digest_of(content: bytes) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def pack_weights(weights: Mapping[str, Tensor], source: str) -> bytes:
    """The content of model.safetensors.

    Raises:
        CheckpointError: a tensor is not finite or cannot be that of a trained network; all are named.
    """
    check_values(weights, source)
    return save({name: value.detach().cpu().contiguous() for name, value in weights.items()})


def pending_file(folder: Path, digest: str) -> Path:
    """Where weights lie until config.json names them."""
    return folder / f".{digest}.safetensors"


def settle_weights(folder: Path, named: Mapping[str, str]) -> None:
    """Give weights that config.json names their usual names, and remove those of saves that were cut short.

    Args:
        folder: of the checkpoint.
        named: digest to usual name of all files that its config.json names, those of an earlier save included, which
            may have been cut short after it was written.
    """
    for file in folder.glob(pending_file(folder, "*").name):
        name = named.get(file.name[1 : -len(file.suffix)])
        if name is None:
            file.unlink()
        else:
            file.replace(folder / name)
    flush_folder(folder)


def writing(folder: Path) -> Hold:
    """A hold of a checkpoint directory by what writes into it; a second one would remove what the first has begun.

    Raises:
        HeldError: something else has it.
    """
    return Hold(folder / _LOCK, f"the policy {folder}")


def read_content(folder: Path, digest: str, name: str = WEIGHTS_FILE) -> bytes:
    """The content of the weights file that has a digest.

    A save that was killed after it wrote config.json leaves the weights under their pending name.

    Raises:
        CheckpointError: there is no such file, or its content has another digest.
    """
    path, found = folder / name, None
    for file in (path, pending_file(folder, digest)):
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CheckpointError(f"{file}: cannot be read: {error.strerror or error}") from error
        found = digest_of(content)
        if found == digest:
            return content
    if found is None:
        raise CheckpointError(f"{path}: missing")
    raise CheckpointError(
        f"{path}: damaged, or of another policy: its sha256 begins with {found[:_SHOWN]}, that in {CONFIG_FILE} with "
        f"{digest[:_SHOWN]}; copy the whole directory anew"
    )


def unpack_weights(content: bytes, expected: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """The tensors of a weights file for a network that has the ``expected`` ones.

    Raises:
        CheckpointError: it is no safetensors file, or a tensor does not fit or makes no sense; all are named.
    """
    try:
        weights = load(content)
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{source}: not readable as safetensors ({one_line(error)})") from error
    check_tensors(expected, weights, source)
    check_values(weights, source)
    return weights


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
    _refuse(problems, source)


def check_values(weights: Mapping[str, Tensor], source: str) -> None:
    """Refuse tensors that no training leaves behind: not finite, immense, or weights that are all zero.

    Raises:
        CheckpointError: naming all of them.
    """
    floats = {name: value for name, value in weights.items() if value.is_floating_point() and value.numel()}
    problems = []
    for name, value in floats.items():
        largest = float(value.detach().abs().max())  # NaN if any value is
        if not largest <= _LARGEST:
            finite = bool(torch.isfinite(value).all())
            problems.append(f"{name} has " + (f"a value of {largest:.3g}" if finite else "values that are not finite"))
        elif largest == 0.0 and name.endswith("weight"):
            problems.append(f"{name} is zero throughout")
    _refuse(problems, source)


def _refuse(problems: list[str], source: str) -> None:
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
