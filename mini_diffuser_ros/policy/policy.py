"""The policy as the rest of the package uses it: a cloud and a sentence in, ranked keyframes out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.policy.asides import Asides, WithoutAsides
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.denials import Denials
from mini_diffuser_ros.policy.encoding import sentence_encoder
from mini_diffuser_ros.policy.errors import PolicyError
from mini_diffuser_ros.policy.knowledge.facts import SentenceFamiliarity
from mini_diffuser_ros.policy.knowledge.familiarity import Familiarity, familiarity_encoder
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge
from mini_diffuser_ros.policy.knowledge.sureness import said_of
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.modes import Hypotheses, rank_modes
from mini_diffuser_ros.policy.network.heads import ActionLogits
from mini_diffuser_ros.policy.network.rotation import decode_rotation
from mini_diffuser_ros.policy.network.scene_network import EncodedScene
from mini_diffuser_ros.policy.scene import scene_points
from mini_diffuser_ros.policy.spelling import SpelledSentence, Spelling
from mini_diffuser_ros.policy.text.minilm import MiniLMEncoder
from mini_diffuser_ros.policy.unasked import UnaskedWords
from mini_diffuser_ros.policy.untaught import UntaughtWords
from mini_diffuser_ros.records import (
    Assessment,
    CameraView,
    Cloud,
    DecisionNumbers,
    EndJudgement,
    FusionConfig,
    KeyframeMode,
    ModeSureness,
    SeenEnd,
)
from mini_diffuser_ros.robots import RobotDescription

_LOWEST_TARGET = 0.005  # metres above the table: the published floor under a decided position


class Policy:
    """A network with its sentence encoder.

    Args:
        model: the network; it is put into evaluation mode and moved to ``device``.
        device: torch device, e.g. ``cpu`` or ``cuda``.
        text: gives a sentence's token states (L, D); by default the encoder that the model's configuration names.
        fusion: how images became the clouds that it was trained on; None where its source held no images.
        tasks: task to the sentences it was taught.
        knowledge: what it knows about itself; by default nothing.

    Raises:
        ValueError: an unknown device.
        TextError: the sentence encoder's weights are not installed.
    """

    def __init__(
        self,
        model: MiniDiffuser,
        device: str | torch.device = "cpu",
        text: Callable[[str], Tensor] | None = None,
        fusion: FusionConfig | None = None,
        tasks: Mapping[str, tuple[str, ...]] | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self.device = checked_device(device)
        self.model = model.eval().to(self.device)
        self.text = sentence_encoder(model.config) if text is None else text
        self.fusion = fusion
        self.tasks: Mapping[str, tuple[str, ...]] = dict(tasks or {})
        self.knowledge = knowledge or Knowledge()

    @property
    def config(self) -> MiniDiffuserConfig:
        """Configuration of the network."""
        return self.model.config

    def familiarity(self, sentence: str) -> SentenceFamiliarity | None:
        """How familiar a sentence is; None where the policy does not know what it was taught.

        Raises:
            TextError: the sentence is empty or too long.
        """
        known = self.knowledge.familiarity
        if known is None:
            return None
        denial = self._denials.read(self._spelling.read(sentence).sentence)
        _, found = self._understood(denial.rest, self._asides.read(denial.rest), known)
        if denial.word:
            return replace(found, score=0.0, denial=denial.word)
        unasked = self._unasked_words.read(denial.rest)
        unfit = self._untaught_words.read(denial.rest) if unasked is None else str(unasked)
        return replace(found, score=0.0, unasked=unfit) if unfit else found

    def reading(self, sentence: str) -> SpelledSentence:
        """A sentence as the policy reads it: misspelt words as the ones that it was taught, and nothing that it denies.

        Nor is read what it tells beside what it asks for, where it is familiar without that alone. Where what it asks
        for is denied, all of it is read.
        """
        spelled = self._spelling.read(sentence)
        read = self._denials.read(spelled.sentence)
        told, known = self._asides.read(read.rest), self.knowledge.familiarity
        if not told.left_out or known is None:
            return replace(spelled, sentence=read.rest, left_out=read.left_out)
        told, _ = self._understood(read.rest, told, known)
        return replace(spelled, sentence=told.rest, left_out=(*read.left_out, *told.left_out))

    def _understood(
        self, sentence: str, told: WithoutAsides, known: Familiarity
    ) -> tuple[WithoutAsides, SentenceFamiliarity]:
        """A sentence without what it tells beside what it asks for, if it is unfamiliar with that and not without."""
        whole = known.read(sentence, self._familiarity_encoder)
        if told.left_out and not whole.is_familiar:
            found = known.read(told.rest, self._familiarity_encoder)
            if found.is_familiar:
                return told, found
        return WithoutAsides(sentence), whole

    @cached_property
    def _spelling(self) -> Spelling:
        return Spelling(self._taught())

    @cached_property
    def _denials(self) -> Denials:
        return Denials(self._taught(), self._names())

    @cached_property
    def _unasked_words(self) -> UnaskedWords:
        return UnaskedWords(self._taught(), self._names())

    @cached_property
    def _untaught_words(self) -> UntaughtWords:
        return UntaughtWords(self._taught(), self._names())

    @cached_property
    def _asides(self) -> Asides:
        return Asides(self._unasked_words)

    def _names(self) -> tuple[str, ...]:
        familiarity = self.knowledge.familiarity
        return () if familiarity is None else tuple(familiarity.names)

    def _taught(self) -> Iterator[str]:
        return chain.from_iterable(self.tasks.values())

    @cached_property
    def _familiarity_encoder(self) -> MiniLMEncoder:
        return familiarity_encoder(self.text)

    def completion(self, sentence: str, end: SeenEnd) -> EndJudgement | None:
        """Whether what a sentence asks for is done; None where the policy does not know how its tasks end.

        Raises:
            TextError: the sentence is empty or too long.
            ValueError: no finite point in the workspace.
        """
        known = self.knowledge.completion
        return None if known is None else known.read(self.model, end, self._words(sentence))

    def fuse(
        self,
        views: Sequence[CameraView],
        robot: RobotDescription | None = None,
        joint_positions: Mapping[str, float] | None = None,
    ) -> Cloud:
        """One cloud of all cameras, made as the policy was trained; arguments as of ``perception.fuse_views``.

        Raises:
            PolicyError: the policy was trained on clouds of unknown making.
            PerceptionError: views that cannot be fused.
        """
        if self.fusion is None:
            raise PolicyError("the policy was trained on clouds, so its fusion is not known; give one to fuse_views")
        return fuse_views(views, self.fusion, robot, joint_positions)

    def decide(
        self, cloud: Cloud, sentence: str, samples: int = 64, steps: int = 20, seed: int = 0
    ) -> list[KeyframeMode]:
        """Where to go next, in the cloud's frame.

        Args:
            cloud: what the cameras see, fused, in the base frame.
            sentence: what is wanted.
            samples: hypotheses, all drawn in one pass.
            steps: DDIM steps, 1 to ``config.diffusion.steps``.
            seed: of the noise; equal arguments give equal modes.

        Returns:
            Modes, the most probable first; their shares sum to 1.

        Raises:
            TextError: the sentence is empty or too long.
            ValueError: no finite point in the workspace, or ``samples`` or ``steps`` out of range.
        """
        return self._draw(cloud, sentence, samples, steps, seed).modes

    def assess(self, cloud: Cloud, sentence: str, samples: int = 64, steps: int = 20, seed: int = 0) -> Assessment:
        """The same modes as :meth:`decide`, with what the policy knows of sentence and scene.

        Args and errors are those of :meth:`decide`. What nobody has taught it is NaN, and it objects to nothing then.
        """
        drawn = self._draw(cloud, sentence, samples, steps, seed)
        familiar = self.familiarity(sentence)
        presence, sureness = math.nan, tuple[ModeSureness, ...]()
        not_found = unsure = ""
        if known := self.knowledge.presence:
            presence = known.read(drawn.scene, drawn.points, drawn.words)
            not_found = known.objection(presence, sentence)
        if sure := self.knowledge.sureness:
            sureness = tuple(map(sure.calibrated, self._said(drawn)))
            unsure = sure.objection(sureness)
        familiarity = math.nan if familiar is None else familiar.score
        numbers = DecisionNumbers(familiarity, presence, modes=sureness)
        return Assessment(drawn.modes, numbers, not_found, unsure)

    def claims(
        self, cloud: Cloud, sentence: str, samples: int = 64, steps: int = 20, seed: int = 0
    ) -> list[tuple[KeyframeMode, ModeSureness]]:
        """The modes of :meth:`decide` with what the network itself says of each, which calibration makes true."""
        drawn = self._draw(cloud, sentence, samples, steps, seed)
        return list(zip(drawn.modes, self._said(drawn), strict=True))

    def _words(self, sentence: str) -> Tensor:
        """(L, D) states of the tokens of a sentence as it is read."""
        return self.text(self.reading(sentence).sentence)

    def _said(self, drawn: _Drawn) -> list[ModeSureness]:
        return said_of(drawn.modes, drawn.hypotheses, drawn.logits, self.config.heads.gripper_symmetry)

    def _draw(self, cloud: Cloud, sentence: str, samples: int, steps: int, seed: int) -> _Drawn:
        words = self._words(sentence)
        scene = scene_points(cloud, self.config)
        generator = torch.Generator().manual_seed(seed)
        with torch.inference_mode():
            points = torch.from_numpy(scene.points).to(self.device)
            batch = torch.zeros(len(points), dtype=torch.long, device=self.device)
            lengths = torch.tensor([len(words)], device=self.device)
            encoded = self.model.encode(points, batch, words.to(self.device), lengths)
            xyz = self.model.sample(encoded, samples, steps, generator=generator)[0]
            logits = self.model.predict_action(encoded, xyz, batch.new_zeros(samples))
            quaternions = decode_rotation(logits.rotation, refine=self.config.losses.rotation_sigma > 0)
        positions = _numpy(xyz) + scene.centre.astype(np.float64)
        positions[:, 2] = np.maximum(positions[:, 2], self.config.scene.table_height + _LOWEST_TARGET)
        hypotheses = Hypotheses(
            positions,
            _numpy(quaternions),
            (logits.gripper > 0).cpu().numpy(),
            (logits.termination > 0).cpu().numpy(),
        )
        modes = rank_modes(hypotheses, self.config.heads.gripper_symmetry)
        return _Drawn(encoded, points, words, hypotheses, logits, modes)


@dataclass(frozen=True, eq=False)
class _Drawn:
    """A decision with all that it comes from."""

    scene: EncodedScene
    points: Tensor
    words: Tensor
    hypotheses: Hypotheses
    logits: ActionLogits
    modes: list[KeyframeMode]


def checked_device(device: str | torch.device) -> torch.device:
    """A device that can be used here.

    Raises:
        ValueError: it is unknown or not on this machine.
    """
    try:
        checked = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device {device!r} is unknown, expected cpu or cuda") from error
    if checked.type not in ("cpu", "cuda") or (checked.type == "cuda" and not torch.cuda.is_available()):
        raise ValueError(f"device {str(checked)!r} is not on this machine, expected cpu or an available cuda")
    return checked


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return values.double().cpu().numpy().astype(np.float64)
