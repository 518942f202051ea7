"""What a training learns from, by content: whether going on from a checkpoint is the same training, or what differs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.policy import MiniDiffuserConfig
from mini_diffuser_ros.support.settings import flat, to_mapping
from mini_diffuser_ros.training.config import TrainConfig
from mini_diffuser_ros.training.recoloring import VERSION as RECOLOURING

_PLACES_AND_PACE = frozenset(
    (
        "data",
        "start_from",
        "start_share",
        "rehearsal",
        "model",
        "budget",
        "validate",
        "checkpoint",
        "device",
        "precision",
        "compile",
        "shards",
        "threads",
        "loaders",
        "wandb",
        "out",
        "policy",
        "knowledge",
    )
)
"""Fields of the recipe that do not say what is learned, or that are in the identity by their content."""

_MOST_NAMED = 4  # settings in a line of differences


@dataclass(frozen=True)
class Identity:
    """What decides which weights come out of how many steps.

    Attributes:
        episodes: digests of the episodes, hexadecimal, in the order of the data set, which decides what is held out.
        settings: values by dotted name: the recipe's, those of the fusion and of the network, the precision that is
            computed with, and the digest of the sentence encoder; numbers, words and lists of them.
    """

    episodes: tuple[str, ...]
    settings: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Of the episodes, in whatever order: SHA-256 of their sorted digests, a line each."""
        return hashlib.sha256("".join(f"{episode}\n" for episode in sorted(self.episodes)).encode()).hexdigest()

    def differences(self, before: Identity) -> str:
        """What is otherwise than it was, on one line; empty if nothing is."""
        changes = [self._other_episodes(before), *_other_settings(self.settings, before.settings)]
        return "; ".join(change for change in changes if change)

    def _other_episodes(self, before: Identity) -> str:
        now, then = Counter(self.episodes), Counter(before.episodes)
        new, gone = (now - then).total(), (then - now).total()
        if new and gone:
            return f"{_episodes(new)} new, {gone} {'is' if gone == 1 else 'are'} gone"
        if new or gone:
            return f"{_episodes(new)} new" if new else f"{_episodes(gone)} gone"
        if self.episodes != before.episodes:
            return "the episodes are in another order, so that others would be held out"
        return ""


@dataclass(frozen=True)
class Stage:
    """Steps that were made with the same data and recipe.

    Attributes:
        start: number of steps before its first.
        identity: what they learned from; None in checkpoints that do not say it.
    """

    start: int
    identity: Identity | None


def stages_to_values(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """As JSON has them."""
    return [
        {
            "start": stage.start,
            "episodes": None if stage.identity is None else list(stage.identity.episodes),
            "settings": None if stage.identity is None else dict(stage.identity.settings),
        }
        for stage in stages
    ]


def stages_from_values(values: Sequence[Mapping[str, Any]]) -> tuple[Stage, ...]:
    """What :func:`stages_to_values` gave.

    Raises:
        KeyError, TypeError, ValueError: if it is nothing of the kind.
    """
    return tuple(
        Stage(
            int(value["start"]),
            None if value["episodes"] is None else Identity(tuple(value["episodes"]), dict(value["settings"])),
        )
        for value in values
    )


def identity_of(
    config: TrainConfig,
    network: MiniDiffuserConfig,
    episodes: Sequence[bytes],
    fusion: FusionConfig | None,
    encoder: str,
    precision: torch.dtype,
    start: str = "",
    rehearsed: Sequence[bytes] = (),
) -> Identity:
    """The identity of a training.

    Args:
        config: the recipe, of which counts what changes what is learned.
        network: its configuration.
        episodes: digests of the episodes that are used, in the order of the data set.
        fusion: how their images become clouds, None for clouds of unknown making.
        encoder: digest of the sentence encoder.
        precision: of the network's matrix products.
        start: digest of the weights that it starts with; empty for random ones.
        rehearsed: digests of the old episodes that are drawn among the others, in the order of their data set.
    """
    recipe = {name: value for name, value in to_mapping(config).items() if name not in _PLACES_AND_PACE}
    settings = {
        **recipe,
        "data": {"validation_share": config.data.validation_share},
        "precision": str(precision).removeprefix("torch."),
        "fusion": None if fusion is None else to_mapping(fusion),
        "network": to_mapping(network),
        "sentence encoder": encoder,
    }
    if config.augment.recolored:
        settings["recolouring"] = RECOLOURING
    if start:
        settings["start_from"] = start
    if rehearsed:
        digest = hashlib.sha256(b"".join(rehearsed)).hexdigest()
        settings["rehearsal"] = {"episodes": digest, "share": config.rehearsal.share}
    # Through JSON, so that it compares with what was read from a checkpoint.
    return Identity(tuple(episode.hex() for episode in episodes), json.loads(json.dumps(flat(settings))))


def _other_settings(now: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    absent = object()
    names = [name for name in {**then, **now} if now.get(name, absent) != then.get(name, absent)]
    changes = [f"{name} is {_shown(now, name)}, was {_shown(then, name)}" for name in names[:_MOST_NAMED]]
    return [*changes, f"{len(names) - _MOST_NAMED} settings more"] if len(names) > _MOST_NAMED else changes


def _shown(settings: Mapping[str, Any], name: str) -> str:
    """A value in few characters; digests by their beginning."""
    shown = json.dumps(settings[name]) if name in settings else "not set"
    return shown if len(shown) <= 40 else f"{shown[:16]}..."


def _episodes(count: int) -> str:
    return "1 episode is" if count == 1 else f"{count} episodes are"
