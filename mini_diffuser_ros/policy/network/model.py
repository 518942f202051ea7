"""The Mini Diffuser: encode a scene once, query it with many noised positions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mini_diffuser_ros.policy.batch import TrainingBatch
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.network.arguments import check_queries, check_scene
from mini_diffuser_ros.policy.network.backbone import Words
from mini_diffuser_ros.policy.network.diffusion import NoiseSchedule
from mini_diffuser_ros.policy.network.heads import ActionHead, ActionLogits
from mini_diffuser_ros.policy.network.losses import training_losses
from mini_diffuser_ros.policy.network.neck import TokenContext, sentence_context, step_embedding
from mini_diffuser_ros.policy.network.pyramid import Pyramid, build_pyramid
from mini_diffuser_ros.policy.network.scene_network import EncodedScene, SceneNetwork

_WORDS_ALIGNED = 16  # vector width of the attention kernels: 12 words take four times as long as 16


class DiffuserNetwork(nn.Module):
    """Position by diffusion, rotation, gripper and termination by classification at that position.

    All positions are metres in the centred frame of :func:`~mini_diffuser_ros.policy.scene.scene_points`.

    Args:
        config: sizes; see :class:`MiniDiffuserConfig` for the presets.
    """

    def __init__(self, config: MiniDiffuserConfig) -> None:
        super().__init__()
        self.config = config
        self.schedule = NoiseSchedule(config)
        self.ptv3_model = SceneNetwork(config)
        self.txt_fc = nn.Linear(config.text.width, config.text.hidden)
        self.txt_attn_fc = nn.Linear(config.text.width, 1) if config.neck.film_text else None
        self.act_proj_head = ActionHead(config)

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.txt_fc.weight.device

    def encode(
        self,
        points: Tensor,
        batch: Tensor,
        text_tokens: Tensor,
        text_lengths: Tensor,
        generator: torch.Generator | None = None,
    ) -> EncodedScene:
        """Everything a decision reuses.

        Args:
            points: (N, 7), from :func:`~mini_diffuser_ros.policy.scene.scene_points`.
            batch: (N,) int64, non-decreasing, scene of each point.
            text_tokens: (sum L, text_width), token states of all sentences after one another.
            text_lengths: (B,) int64, tokens of each sentence.
            generator: a CPU generator that draws the curves where they are drawn; torch's own where None.

        Raises:
            ValueError: a wrong shape, a value that is not finite, a scene without points or words.
        """
        check_scene(points, batch, text_tokens, text_lengths, self.config)
        scenes = len(text_lengths)
        with torch.no_grad():
            levels, source = self._pyramid(points[:, :3], batch, scenes, generator)
        words, text = self._read(self._words(text_tokens), text_lengths)
        features = self.ptv3_model.scene_features(points.index_select(0, source), levels, words)
        return EncodedScene(
            levels=levels,
            source=source,
            features=features.decoder,
            memories=self.ptv3_model.remember(features, levels),
            local=self.ptv3_model.local(features, levels),
            state_memories=self.ptv3_model.remember_state(features, levels),
            text=text,
        )

    def predict_noise(self, scene: EncodedScene, xyz: Tensor, steps: Tensor, batch: Tensor) -> Tensor:
        """Noise (Q, 3) in noised positions, in units of ``config.diffusion.position_scale``.

        Args:
            scene: from :meth:`encode`.
            xyz: (Q, 3) metres, noised positions.
            steps: (Q,) int64 noise step of each.
            batch: (Q,) int64 scene of each, in any order.
        """
        check_queries(scene.scenes, batch, xyz, self.config, steps)
        slots = _Slots(batch, scene.scenes)
        packed, packed_steps = slots.pack(xyz), slots.pack(steps)
        predicted = self.denoise(scene, packed, packed_steps)
        noise = self.schedule.denoised(predicted, packed / self.config.diffusion.position_scale, packed_steps).noise
        return slots.unpack(noise)

    def predict_rotation(self, scene: EncodedScene, xyz: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation logits (Q, 72, 3) and gripper-open logits (Q,) at positions (Q, 3) of scenes ``batch`` (Q,)."""
        logits = self.predict_action(scene, xyz, batch)
        return logits.rotation, logits.gripper

    def predict_action(self, scene: EncodedScene, xyz: Tensor, batch: Tensor) -> ActionLogits:
        """All head logits at positions (Q, 3) of scenes ``batch`` (Q,)."""
        check_queries(scene.scenes, batch, xyz, self.config)
        slots = _Slots(batch, scene.scenes)
        packed = slots.pack(xyz)
        logits = self._action(scene, packed)
        return ActionLogits(*(slots.unpack(part.unflatten(0, packed.shape[:2])) for part in logits))

    def sample(
        self,
        scene: EncodedScene,
        samples: int,
        steps: int,
        eta: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Positions (B, samples, 3) in metres, drawn by DDIM.

        Args:
            scene: from :meth:`encode`.
            samples: hypotheses a scene, all in one pass.
            steps: DDIM steps, 1 to ``config.diffusion.steps``.
            eta: 0 is deterministic given the first noise.
            generator: a CPU generator that draws all noise.
        """
        if samples < 1:
            raise ValueError(f"samples is {samples}, expected at least 1")
        scale = self.config.diffusion.position_scale
        noise = torch.randn((scene.scenes, samples, 3), generator=generator).to(self.device)

        def predict(sample: Tensor, step: int) -> Tensor:
            at = torch.full(sample.shape[:2], step, device=sample.device)
            return self.denoise(scene, sample * scale, at)

        return scale * self.schedule.ddim(predict, noise, steps, eta, generator)

    def loss(
        self, batch: TrainingBatch, level2: int = 64, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Training losses as scalars, ``total`` (weighted sum of the others) first.

        Args:
            batch: B scenes with targets.
            level2: noised positions M a scene, drawn independently.
            generator: a CPU generator for noise, steps and curves; torch's own where None.
        """
        return training_losses(self, batch, level2, generator)

    def denoise(self, scene: EncodedScene, xyz: Tensor, steps: Tensor) -> Tensor:
        """The network's prediction (B, M, 3), see the schedule, for positions (B, M, 3) metres at steps (B, M)."""
        predicted: Tensor = self.act_proj_head.denoise_mlp(self.token_features(scene, xyz, steps))
        return predicted

    def token_features(self, scene: EncodedScene, xyz: Tensor, steps: Tensor) -> Tensor:
        """Tokens (B, M, C) of positions (B, M, 3) metres at steps (B, M)."""
        return self.ptv3_model.tokens(scene, xyz, self._context(scene, steps))

    def action_logits(self, scene: EncodedScene, xyz: Tensor, tokens: Tensor) -> ActionLogits:
        """Head logits (B * M, ...) at positions (B, M, 3) from their tokens (B, M, C)."""
        state = None if self.config.heads.head_text else self.ptv3_model.state_tokens(scene, xyz).flatten(0, 1)
        return self.act_proj_head.action(tokens.flatten(0, 1), state)

    def _pyramid(self, coordinates: Tensor, batch: Tensor, scenes: int, generator: torch.Generator | None) -> Pyramid:
        return build_pyramid(coordinates, batch, scenes, self.config, self.training, generator)

    def _action(self, scene: EncodedScene, xyz: Tensor) -> ActionLogits:
        """Head logits (B * M, ...) at positions (B, M, 3), whose tokens are at noise step 0."""
        steps = torch.zeros(xyz.shape[:2], dtype=torch.long, device=xyz.device)
        return self.action_logits(scene, xyz, self.token_features(scene, xyz, steps))

    def _words(self, tokens: Tensor) -> Tensor:
        """Token states (sum L, text_width) without the few dimensions that outweigh all others."""
        return F.layer_norm(tokens, tokens.shape[1:])

    def _read(self, tokens: Tensor, lengths: Tensor) -> tuple[Words, Tensor | None]:
        """Padded words, and where FiLM reads it one vector (B, text_hidden) a sentence."""
        padded_length = math.ceil(int(lengths.max()) / _WORDS_ALIGNED) * _WORDS_ALIGNED
        position = torch.arange(padded_length, device=tokens.device)
        valid = position < lengths[:, None]
        states = self.txt_fc(tokens)
        padded = states.new_zeros(*valid.shape, states.shape[1])
        padded[valid] = states
        if self.txt_attn_fc is None:
            return Words(padded, valid), None
        scores = states.new_full(valid.shape, -torch.inf)
        scores[valid] = self.txt_attn_fc(tokens)[:, 0]
        return Words(padded, valid), (scores.softmax(1)[..., None] * padded).sum(1)

    def _context(self, scene: EncodedScene, steps: Tensor) -> TokenContext:
        """FiLM contexts of tokens at steps (B, M)."""
        if scene.text is None:
            distinct, which = torch.unique(steps, return_inverse=True)
            return TokenContext(step_embedding(distinct, self.config.text.hidden), which)
        own = torch.arange(len(steps), device=steps.device)[:, None].expand_as(steps)
        return sentence_context(scene.text, own, steps, self.config.diffusion.steps)


class _Slots:
    """Queries of several scenes (Q, ...) as one padded row a scene (B, M, ...), and back."""

    def __init__(self, batch: Tensor, scenes: int) -> None:
        counts = torch.bincount(batch, minlength=scenes)
        self._scenes, self._width = scenes, int(counts.max())
        order = torch.argsort(batch, stable=True)
        rank = torch.empty_like(batch)
        first = torch.cumsum(counts, 0) - counts
        rank[order] = torch.arange(len(batch), device=batch.device) - first[batch[order]]
        self._slot = batch * self._width + rank

    def pack(self, values: Tensor) -> Tensor:
        """(Q, ...) to (B, M, ...), zero in unused slots."""
        rows = values.new_zeros(self._scenes * self._width, *values.shape[1:])
        return rows.index_copy(0, self._slot, values).unflatten(0, (self._scenes, self._width))

    def unpack(self, rows: Tensor) -> Tensor:
        """(B, M, ...) to (Q, ...)."""
        return rows.flatten(0, 1).index_select(0, self._slot)
