"""``mini-diffuser train``: from a recipe and recordings to a policy directory.

For several GPUs or processes torchrun starts the module that is the same verb::

    torchrun --nproc-per-node 2 -m mini_diffuser_ros.training --config config/train/tabletop.yaml
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mini_diffuser_ros.commands.arguments import place
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.support.settings import SettingsError, read_settings, yaml_of_word
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.processes import started_first
from mini_diffuser_ros.training.run import train
from mini_diffuser_ros.viewing.measured_page import write_measured_page
from mini_diffuser_ros.viewing.report_page import read_training

log = logging.getLogger(__name__)

PAGE = "report.html"
"""In the output directory."""
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_PLACES = ("data.path", "start_from", "rehearsal.path", "out")  # fields that have a short option
_TYPED = "command line"


def main(arguments: list[str]) -> int:
    """Train; returns 0 when the policy is exported, 130 if Ctrl-C ended training at a checkpoint."""
    config, continue_anyway = _parse(arguments)
    outcome = train(config, continue_anyway)
    if started_first():
        _write_page(Path(config.out))
    return INTERRUPTED if outcome.interrupted else 0


def _write_page(out: Path) -> None:
    """The page of a training, which has ended well whether it can be written or not."""
    try:
        write_measured_page(out / PAGE, [read_training(out)])
        log.info("%s shows its curves", out / PAGE)
    except (OSError, ValueError, UserError) as error:
        log.warning("no %s: %s", out / PAGE, one_line(error))


def _parse(arguments: Sequence[str]) -> tuple[TrainConfig, bool]:
    parser = CommandParser(
        "train",
        description="Train a policy on recorded episodes. Goes on from the latest checkpoint in the output directory.",
        epilog="Any field of the recipe can be set by its dotted name, e.g. --optim.lr 1e-3 --budget.minutes 10.",
    )
    parser.add_argument("--config", required=True, help="recipe, a YAML file such as config/train/tabletop.yaml")
    parser.add_argument("--data", type=place, help="directory of episodes (data.path)")
    parser.add_argument("--skip-bad", action="store_true", help="leave out faulty episodes, list them (data.skip_bad)")
    parser.add_argument(
        "--from", dest="start", type=place, metavar="POLICY", help="policy to go on from (start_from): fine-tuning"
    )
    parser.add_argument(
        "--rehearse", type=place, metavar="DATA", help="old episodes to draw among the new ones (rehearsal.path)"
    )
    parser.add_argument("--out", type=place, help="output directory (out)")
    parser.add_argument(
        "--continue-anyway",
        action="store_true",
        help="go on from a checkpoint of other data or another recipe, too; the card says so",
    )
    known, others = parser.parse_known_args(arguments)
    overrides = _overrides(others)
    for name, text in overrides:
        if name in _PLACES and not text.strip():
            raise SettingsError(f"--{name}", "is empty, expected a path; is a variable of the shell not set?", _TYPED)
    places = (known.data, known.start, known.rehearse, known.out)
    overrides += [(name, text) for name, text in zip(_PLACES, places, strict=True) if text is not None]
    overrides += [("data.skip_bad", "true")] if known.skip_bad else []
    texts = [(name, yaml_of_word(TrainConfig, name, text)) for name, text in overrides]
    return read_settings(TrainConfig, known.config, texts), known.continue_anyway


def _overrides(words: Sequence[str]) -> list[tuple[str, str]]:
    """``--a.b value`` and ``--a.b=value`` as pairs."""
    pairs = []
    remaining = list(words)
    while remaining:
        word = remaining.pop(0)
        if not word.startswith("--"):
            raise SettingsError(repr(word), "belongs to no option, expected --field value", _TYPED)
        name, equals, value = word[2:].partition("=")
        if not equals:
            if not remaining:
                raise SettingsError(f"--{name}", "has no value", _TYPED)
            value = remaining.pop(0)
        pairs.append((name, value))
    return pairs
