"""What is measured, and how the command line says it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from mini_diffuser_ros.bench.errors import BenchError
from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.policy.policy import checked_device

PRESETS = ("base", "small", "official")
DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What every measurement is told.

    Attributes:
        config: preset of :class:`MiniDiffuserConfig`.
        device: torch device.
        threads: CPU threads of torch's operations.
        dtype: ``bfloat16`` runs under autocast, with float32 weights.
        points: points a scene.
        repeats: measured runs, of which the median is reported; one run more comes first and does not count.
        seed: of scenes, weights and noise.
    """

    config: str
    device: str
    threads: int
    dtype: str
    points: int
    repeats: int
    seed: int

    def network(self) -> MiniDiffuserConfig:
        """The preset, with room for the points."""
        preset: MiniDiffuserConfig = getattr(MiniDiffuserConfig, self.config)(scene={"max_points": self.points})
        return preset

    def columns(self) -> dict[str, Any]:
        """What a row of output repeats of the setting."""
        names = ("config", "device", "threads", "dtype", "points", "repeats")
        return {name: getattr(self, name) for name in names}

    @contextmanager
    def precision(self) -> Iterator[None]:
        """Autocast where the type is not float32."""
        kind = torch.device(self.device).type
        with torch.autocast(kind, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            yield


class OneLineParser(argparse.ArgumentParser):
    """Reports a wrong argument as a BenchError instead of leaving with the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Raise it.

        Raises:
            BenchError: always.
        """
        raise BenchError(message)


def make_parser(name: str, description: str, points: bool = True) -> OneLineParser:
    """A parser with the arguments of :class:`Setting`, and ``--json``."""
    parser = OneLineParser(
        prog=f"mini-diffuser bench {name}",
        description=description,
        epilog="Where several numbers are given, as in 1,256, each combination is measured, in a fresh process.",
    )
    if points:
        parser.add_argument("--config", choices=PRESETS, default="base", help="preset (default: %(default)s)")
        parser.add_argument("--dtype", choices=DTYPES, default="float32", help="(default: %(default)s)")
        parser.add_argument("--seed", type=whole_number, default=0, help="of scenes, weights and noise")
        add_numbers(parser, "--points", "4000", "points a scene")
    parser.add_argument("--device", type=device_name, default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--threads", type=count, default=1, help="CPU threads (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    return parser


def add_numbers(parser: argparse.ArgumentParser, name: str, default: str, meaning: str) -> None:
    """An argument that takes one whole number of at least 1 or several with commas between them."""
    parser.add_argument(name, type=counts, default=counts(default), metavar="N[,N]", help=f"{meaning} ({default})")


def add_repeats(parser: argparse.ArgumentParser, default: int) -> None:
    """``--repeats``, of a default that suits the length of a run."""
    parser.add_argument("--repeats", type=count, default=default, help="measured runs, after one that is not counted")


def common(values: argparse.Namespace, points: int) -> dict[str, Any]:
    """The fields of :class:`Setting` from parsed arguments."""
    return {
        "config": values.config,
        "device": values.device,
        "threads": values.threads,
        "dtype": values.dtype,
        "points": points,
        "repeats": values.repeats,
        "seed": values.seed,
    }


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def counts(text: str) -> tuple[int, ...]:
    """Whole numbers of at least 1, commas between them."""
    return tuple(count(part.strip()) for part in text.split(","))


def whole_number(text: str) -> int:
    """A whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def device_name(text: str) -> str:
    """A device of this machine."""
    try:
        return str(checked_device(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
