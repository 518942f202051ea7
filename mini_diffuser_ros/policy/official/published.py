"""Published weights: a ``model_step_*.pt`` into the network in official behaviour.

Such a file is ``torch.save(model.state_dict())`` of 611 tensors. 610 of them have the names and shapes of
``MiniDiffuser(MiniDiffuserConfig.official())``, counters of BatchNorm included; the last one is dead.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.weights import check_tensors

DEAD_TENSORS: dict[str, tuple[int, ...]] = {"anchor_embeding": (1, 3)}
"""Tensors of a published file that its network registers and never reads (spelt as there): checked, then left out."""

_PARALLEL_PREFIX = "module."
_GLOBAL = re.compile(r"GLOBAL (\S+)")


def import_official(path: str | os.PathLike[str]) -> MiniDiffuser:
    """Read a published checkpoint.

    The file goes through torch's restricted reader, which builds tensors and containers of them and runs no code of
    the file. Both of torch's formats are read. The prefix ``module.``, which DistributedDataParallel puts before
    every name, is taken off where every name has it.

    Args:
        path: ``model_step_*.pt``.

    Returns:
        The network of ``MiniDiffuserConfig.official()`` on the CPU, in evaluation mode.

    Raises:
        CheckpointError: the file is missing, damaged or wants to run code, or its tensors are not exactly those of
            the published network; one line names the file and each tensor that is missing, unexpected, misshapen, of
            another kind of number or not finite.
    """
    file = Path(path)
    weights = _without_prefix(_tensors(_read(file), file))
    model = MiniDiffuser(MiniDiffuserConfig.official())
    expected = model.state_dict()
    dead = {name: torch.empty(shape) for name, shape in DEAD_TENSORS.items()}
    check_tensors(expected | dead, weights, str(file))
    model.load_state_dict({name: weights[name] for name in expected})
    return model.eval()


def _read(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on files that it goes on to refuse
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{file}: {error.strerror or error}") from error
    except Exception as error:  # A damaged pickle makes the reader fail in any way, KeyError and EOFError included.
        raise CheckpointError(f"{file}: {_cause(error)}") from error


def _cause(error: Exception) -> str:
    """What the restricted reader's paragraphs come down to."""
    wanted = _GLOBAL.search(str(error))
    if wanted:
        return f"asks for {wanted[1]}, which no file of tensors needs; nothing of it was run or loaded"
    detail = re.split(r"[\n.](?:\s|$)", str(error))[0].strip()
    kind = type(error).__name__
    return f"damaged, or not written by torch.save ({kind}: {detail})" if detail else f"damaged or cut short ({kind})"


def _tensors(content: Any, file: Path) -> dict[str, Tensor]:
    if not isinstance(content, Mapping) or not content:
        found = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise CheckpointError(f"{file}: holds {found}, expected a state_dict: tensors by name")
    others = [f"{name!r} is a {_kind(value)}" for name, value in content.items() if not _is_entry(name, value)]
    if others:
        raise CheckpointError(f"{file}: expected a state_dict of dense tensors by name; {'; '.join(others)}")
    return dict(content)


def _is_entry(name: Any, value: Any) -> bool:
    if not isinstance(name, str) or not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and value.device.type == "cpu"


def _kind(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"tensor of layout {value.layout}, type {value.dtype}, on {value.device}"


def _without_prefix(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    if not all(name.startswith(_PARALLEL_PREFIX) for name in weights):
        return weights
    return {name.removeprefix(_PARALLEL_PREFIX): value for name, value in weights.items()}
