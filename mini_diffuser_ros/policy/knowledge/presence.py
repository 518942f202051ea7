"""Whether what a sentence names is in the scene.

A small head on the features of the frozen network says of each point how much it belongs to either of the two things
that a sentence acts on (the block that is lifted and the block below; the button twice). The network itself
cannot be asked: its heat-map is a distribution over the points, so something is always the likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.knowledge.facts import PartFacts, Threshold
from mini_diffuser_ros.policy.knowledge.part import Part, only_threshold, packed, unpack
from mini_diffuser_ros.policy.network.scene_network import EncodedScene

ROLES = 2
"""Things that a sentence names: what is acted on first and last, the same one where there is one.

A question has them in that order, the head in whichever it has learned."""

THINGS = "things"
"""Name of the threshold."""

POINTS = 4
"""Points whose mean logit speaks for a scene: fewer than any thing has, and more than one that is off by chance."""

_WIDTH = 96
_DROPOUT = 0.1  # while it learns
_OWN = 4  # of a point: its colour and its height
_WAVES = 3  # of its colour, so that shades of it lie apart


class PresenceHead(nn.Module):
    """Logits of the points of a scene, for each role.

    Args:
        config: of the network whose features it reads.
    """

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        features = sum(config.backbone.decoder_channels) + config.backbone.encoder_channels[-1]
        self.attend = nn.Linear(config.text.width, ROLES)
        self.words = nn.Linear(config.text.width, ROLES * _WIDTH)
        self.points = nn.Linear(features + _OWN + 6 * _WAVES, _WIDTH)
        self.between = nn.Sequential(
            nn.LayerNorm(_WIDTH),
            nn.GELU(),
            nn.Dropout(_DROPOUT),
            nn.Linear(_WIDTH, _WIDTH),
            nn.GELU(),
            nn.Linear(_WIDTH, 1),
        )

    def forward(self, features: Tensor, batch: Tensor, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Logits (N, ROLES).

        Args:
            features: (N, C) of :func:`point_features`.
            batch: (N,) int64, scene of each point.
            tokens: (sum L, W) token states of the sentences, one a scene.
            lengths: (B,) int64 tokens of each.
        """
        asked = self._asked(tokens, lengths)  # (B, ROLES, _WIDTH)
        logits: Tensor = self.between(self.points(features)[:, None] + asked.index_select(0, batch))
        return logits[..., 0]

    def _asked(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        tokens = F.layer_norm(tokens, tokens.shape[1:])
        scene = torch.repeat_interleave(torch.arange(len(lengths), device=tokens.device), lengths)
        weight = self.attend(tokens).clamp(-20.0, 20.0).exp()  # (sum L, ROLES)
        total = weight.new_zeros(len(lengths), ROLES).index_add(0, scene, weight)
        values = self.words(tokens).unflatten(1, (ROLES, _WIDTH)) * weight[..., None]
        return values.new_zeros(len(lengths), ROLES, _WIDTH).index_add(0, scene, values) / total[..., None]


def point_features(scene: EncodedScene, points: Tensor) -> Tensor:
    """What the head reads of each point of level 0, (N, C): features of all levels, its colour and its height.

    Args:
        scene: encoded.
        points: (N, 7) that were encoded.
    """
    parts, rows = [], torch.arange(len(scene.levels[0]), device=points.device)
    for level, features in zip(scene.levels, scene.features, strict=True):
        parts.append(features.index_select(0, rows))
        rows = rows if level.parents is None else level.parents.index_select(0, rows)
    own = points.index_select(0, scene.source)[:, 3:]
    phase = own[:, :3, None] * (torch.pi * 2.0 ** torch.arange(_WAVES, device=points.device))
    waves = torch.cat([phase.sin(), phase.cos()], 2).flatten(1)
    return torch.cat([*parts, own, waves], 1)


def scene_logits(logits: Tensor, batch: Tensor, scenes: int) -> Tensor:
    """Of the logits (N, ROLES) of points those of their scenes (B, ROLES): the mean of the highest few."""
    counts = torch.bincount(batch, minlength=scenes)
    padded = logits.new_full((scenes, int(counts.max()), ROLES), -torch.inf)
    first = torch.cumsum(counts, 0) - counts
    padded[batch, torch.arange(len(batch), device=batch.device) - first.index_select(0, batch)] = logits
    highest = padded.topk(min(POINTS, padded.shape[1]), dim=1).values
    seen = highest.isfinite()
    return highest.where(seen, 0.0).sum(1) / seen.sum(1)


class Presence(Part):
    """The head with the threshold of its verdict.

    Args:
        head: of the network's features.
        threshold: of the probability that all is there.
        learned_from: in words.
    """

    def __init__(self, head: PresenceHead, threshold: Threshold, learned_from: str) -> None:
        self._head = head.eval()
        self._threshold = threshold
        self._learned_from = learned_from

    def read(self, scene: EncodedScene, points: Tensor, tokens: Tensor) -> float:
        """Probability that everything a sentence names is in a scene.

        Args:
            scene: one, encoded with the sentence.
            points: (N, 7) that were encoded.
            tokens: (L, W) token states of the sentence.
        """
        head = self._head.to(points.device)
        batch = scene.levels[0].batch
        lengths = torch.tensor([len(tokens)], device=points.device)
        with torch.inference_mode():
            logits = head(point_features(scene, points), batch, tokens.to(points.device), lengths)
            return float(scene_logits(logits, batch, 1).min().double().sigmoid())

    def objection(self, presence: float, sentence: str) -> str:
        """One line on why a sentence is not obeyed here; empty if what it names may be in the scene."""
        if presence >= self._threshold.value:
            return ""
        return (
            f"nothing in the scene fits what '{sentence}' names (presence {presence:.3f}, {self._threshold.value:.3f} "
            "and more where it is there)"
        )

    @property
    def facts(self) -> PartFacts:
        """See :class:`Part`."""
        return PartFacts({THINGS: self._threshold}, {}, self._learned_from)

    def tensors(self) -> dict[str, Tensor]:
        """See :class:`Part`."""
        return packed(self._head)

    @classmethod
    def restored(cls, facts: PartFacts, tensors: Mapping[str, Tensor], network: MiniDiffuserConfig) -> Presence:
        """See :class:`Part`."""
        threshold = only_threshold(facts, THINGS)
        if facts.settings:
            raise ValueError(f"has settings {sorted(facts.settings)}, expected none")
        head = PresenceHead(network)
        unpack(head, tensors)
        return cls(head, threshold, facts.learned_from)
