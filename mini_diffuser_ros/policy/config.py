"""Everything that shapes a Mini Diffuser: sizes, options and loss weights, in parts.

One network, three presets. ``small`` is the network at a size that two CPU cores train in minutes, ``base`` has the
published size, ``official`` repeats the published network with its quirks. Lists of sizes run from the finest level to
the coarsest. Level 0 has voxels of ``scene.voxel_size``, each further level voxels of twice that edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mini_diffuser_ros.policy.official.config import OfficialBehaviour
from mini_diffuser_ros.policy.text import encoder_names
from mini_diffuser_ros.records import Workspace
from mini_diffuser_ros.sentences import MAX_TOKENS
from mini_diffuser_ros.support.settings import SettingsError, bounded, check_fields, not_expected, with_values

Curve = Literal["z", "z-trans", "hilbert", "hilbert-trans"]

_MANY = 1 << 20
_LEAST_LENGTH = 1e-6  # metres


@dataclass(frozen=True)
class SceneConfig:
    """How a cloud becomes the points that the network reads.

    Attributes:
        workspace: box in the base frame. Points outside are dropped before anything else, in training and in decisions
            alike.
        table_height: metres, base frame; the seventh feature of a point is its height above it.
        voxel_size: metres, edge of a voxel of level 0. Halving it about triples the cost of a scene.
        max_points: a scene keeps at most this many voxels, evenly spread over the cloud.
        centre_height: metres above the table, z of the origin of the network's coordinates. Its x and y are the middle
            of the workspace, so that equal scenes look equal wherever the hand is.
    """

    workspace: Workspace = field(default_factory=lambda: Workspace((0.25, -0.40, 0.004), (0.80, 0.40, 0.60)))
    table_height: float = 0.0
    voxel_size: float = bounded(0.01, _LEAST_LENGTH, 1.0)
    max_points: int = bounded(1024, 1, _MANY)
    centre_height: float = 0.12

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class TextConfig:
    """Sentences.

    Attributes:
        encoder: name of a file in ``policy/text/``, e.g. ``minilm`` (ships with its package, 384 wide) or ``clip`` (512
            wide, must be downloaded).
        width: width of the encoder's token states.
        max_tokens: a longer sentence is refused.
        hidden: width of the text inside the network, and of the FiLM context.
    """

    encoder: str = "minilm"
    width: int = bounded(384, 1, _MANY)
    max_tokens: int = bounded(MAX_TOKENS, 1, _MANY)
    hidden: int = bounded(128, 1, _MANY)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.encoder not in (known := encoder_names()):
            raise not_expected("encoder", self.encoder, "one of " + ", ".join(map(repr, known)))


@dataclass(frozen=True)
class LayerConfig:
    """What the layers of backbone and neck have in common.

    Attributes:
        mlp_ratio: hidden width of each MLP over its input width.
        dropout: share of activations of projections and MLPs that are zeroed, in training only. Attention weights are
            kept: zeroing them needs them in memory, which doubles the time of a step on a CPU.
        wavelengths: metres, of the Fourier features and rotary encodings of positions.
    """

    mlp_ratio: float = bounded(2.0, 0.01, 64.0)
    dropout: float = bounded(0.0, 0.0, 0.49)
    wavelengths: tuple[float, ...] = (0.04, 0.12, 0.36, 1.10)

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.wavelengths or min(self.wavelengths) <= 0:
            raise not_expected("wavelengths", self.wavelengths, "positive metres")


@dataclass(frozen=True)
class BackboneConfig:
    """Encoder and decoder of points.

    Attributes:
        encoder_channels: width of each encoder level; their number is the number of levels.
        encoder_heads: attention heads of each encoder level.
        decoder_channels: width of each decoder level; one entry fewer than the encoder.
        decoder_heads: attention heads of each decoder level.
        windows: points that attend to one another along the space-filling curve, per level. A cloud no larger than
            its window gets full attention.
        stem_kernel: edge of the first sparse convolution, voxels; odd.
        scene_rotary: rotary encoding of metric positions in the points' own window attention (not published).
        curves: space-filling curves a level may be serialised by. Training draws one for each level; decisions take the
            first.
    """

    encoder_channels: tuple[int, ...] = (24, 72, 96)
    encoder_heads: tuple[int, ...] = (1, 3, 4)
    decoder_channels: tuple[int, ...] = (24, 72)
    decoder_heads: tuple[int, ...] = (1, 3)
    windows: tuple[int, ...] = (96, 320, 320)
    stem_kernel: Literal[1, 3, 5] = 3
    scene_rotary: bool = True
    curves: tuple[Curve, ...] = ("z", "z-trans", "hilbert", "hilbert-trans")

    def __post_init__(self) -> None:
        check_fields(self)
        levels = len(self.encoder_channels)
        if not 2 <= levels <= 8:
            raise not_expected("encoder_channels", self.encoder_channels, "2 to 8 levels")
        counts = {
            "encoder_heads": levels,
            "windows": levels,
            "decoder_channels": levels - 1,
            "decoder_heads": levels - 1,
        }
        for name, count in counts.items():
            if len(getattr(self, name)) != count:
                raise not_expected(name, getattr(self, name), f"{count} entries for {levels} levels")
        for side in ("encoder", "decoder"):
            channels, heads = getattr(self, f"{side}_channels"), getattr(self, f"{side}_heads")
            if any(width < 1 or count < 1 or width % count for width, count in zip(channels, heads, strict=True)):
                raise not_expected(f"{side}_heads", heads, f"numbers that divide the channels {channels}")
        if min(self.windows) < 1:
            raise not_expected("windows", self.windows, "at least one point each")
        if not self.curves:
            raise not_expected("curves", self.curves, "at least one curve")


@dataclass(frozen=True)
class NeckConfig:
    """The tokens of noised positions.

    Attributes:
        channels: width of a token, a multiple of six times the heads.
        heads: attention heads.
        film_text: sentence in the FiLM context of the tokens, beside the noise step.
    """

    channels: int = bounded(96, 6, _MANY)
    heads: int = bounded(4, 1, 1024)
    film_text: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.channels % (6 * self.heads):
            raise not_expected("channels", self.channels, f"a multiple of 6 x {self.heads} heads")

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.channels // self.heads


@dataclass(frozen=True)
class HeadsConfig:
    """What is read from tokens and scenes.

    Attributes:
        hidden: hidden width of the heads.
        head_text: whether the gripper and termination logits may depend on the sentence. Off, they are read from a
            text-free branch of the encoder: the position already says what the sentence asks for, and words never
            heard cannot open the gripper.
        gripper_symmetry: treat rotations by 180 degrees about the approach axis as equal, as they are for a
            parallel gripper.
    """

    hidden: int = bounded(96, 1, _MANY)
    head_text: bool = False
    gripper_symmetry: bool = True

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class DiffusionConfig:
    """The diffusion of positions: a cosine schedule whose last level keeps no signal, and velocity prediction.

    Attributes:
        steps: number of noise levels in training.
        position_scale: metres per unit of the diffused variable, about the standard deviation of target positions.
        clip_sample: bound on the predicted clean position, in units of ``position_scale``.
    """

    steps: int = bounded(100, 1, _MANY)
    position_scale: float = bounded(0.2, _LEAST_LENGTH, 1e3)
    clip_sample: float = bounded(4.0, _LEAST_LENGTH, 1e6)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class LossConfig:
    """What training asks for.

    Attributes:
        rotation_sigma: degrees, width of the soft rotation labels; 0 gives one-hot labels, as published.
        head_position_noise: metres, standard deviation of the noise on the position the heads are trained at.
        heatmap_level: level whose points carry the heat-map of the target, a dense grounding signal, and near the
            target predict its rotation, a dense rotation signal.
        heatmap_sigma: metres, width of the target heat-map in the table plane.
        position_weight, rotation_weight, gripper_weight, termination_weight, heatmap_weight, rotation_map_weight:
            weights of the losses.
    """

    rotation_sigma: float = bounded(5.0, 0.0, 180.0)
    head_position_noise: float = bounded(0.004, 0.0, 1.0)
    heatmap_level: int = bounded(1, 0, 7)
    heatmap_sigma: float = bounded(0.02, _LEAST_LENGTH, 1e3)
    position_weight: float = bounded(5.0, 0.0, 1e6)
    rotation_weight: float = bounded(2.0, 0.0, 1e6)
    gripper_weight: float = bounded(1.0, 0.0, 1e6)
    termination_weight: float = bounded(1.0, 0.0, 1e6)
    heatmap_weight: float = bounded(2.0, 0.0, 1e6)
    rotation_map_weight: float = bounded(1.0, 0.0, 1e6)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class MiniDiffuserConfig:
    """Configuration of one network, stored with every checkpoint.

    Attributes:
        scene: how a cloud becomes points.
        text: sentences.
        layers: what backbone and neck have in common.
        backbone: encoder and decoder of points.
        neck: tokens of noised positions.
        heads: what is read from both.
        diffusion: noise levels.
        losses: what training asks for.
        official_behaviour: that the network repeats the published one, quirks included; None for ours.
    """

    scene: SceneConfig = field(default_factory=SceneConfig)
    text: TextConfig = field(default_factory=TextConfig)
    layers: LayerConfig = field(default_factory=LayerConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    neck: NeckConfig = field(default_factory=NeckConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    official_behaviour: OfficialBehaviour | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        self._check_rotary_widths()
        if self.losses.heatmap_level >= self.levels - 1:
            level, last = self.losses.heatmap_level, self.levels - 2
            raise not_expected("losses.heatmap_level", level, f"a decoder level, 0 to {last}")
        if self.official_behaviour is not None and not (self.heads.head_text and self.neck.film_text):
            raise SettingsError("official_behaviour", "is given, expected heads.head_text and neck.film_text with it")

    @classmethod
    def small(cls, **changes: Any) -> MiniDiffuserConfig:
        """Three levels, about two million parameters: trains on two CPU cores in minutes.

        Args:
            **changes: fields that differ, by dotted name or as mappings of a part's fields:
                ``small(scene={"voxel_size": 0.02})``.

        Raises:
            SettingsError: an unknown field, or a value of the wrong type or out of range.
        """
        return _changed(cls(), changes)

    @classmethod
    def base(cls, **changes: Any) -> MiniDiffuserConfig:
        """The published size: 17.6 million parameters, five levels. Changes as in :meth:`small`."""
        return _changed(_changed(cls(), _BASE), changes)

    @classmethod
    def official(cls, **changes: Any) -> MiniDiffuserConfig:
        """The published network with every quirk that acts at inference, except the random choice of curves.

        Changes as in :meth:`small`; ``official_behaviour={"curve_shuffle": True}`` has that too.
        """
        return _changed(_changed(_changed(cls(), _BASE), _OFFICIAL), changes)

    @property
    def levels(self) -> int:
        """Number of voxel levels."""
        return len(self.backbone.encoder_channels)

    def _check_rotary_widths(self) -> None:
        """A rotary encoding takes six channels of a head for each wavelength."""
        width = 6 * len(self.layers.wavelengths)
        problem = f"has {len(self.layers.wavelengths)} entries, expected"
        if self.official_behaviour is None and self.neck.head_width != width:
            raise SettingsError("layers.wavelengths", f"{problem} {self.neck.head_width // 6} (neck's head width / 6)")
        backbone = self.backbone
        channels = backbone.encoder_channels + backbone.decoder_channels
        heads = backbone.encoder_heads + backbone.decoder_heads
        for wide, count in zip(channels, heads, strict=True):
            if backbone.scene_rotary and wide != count * width:
                needed = f"{width} channels a head, got {wide} / {count}"
                raise SettingsError("backbone.scene_rotary", f"is on, expected {needed}")


_BASE: Mapping[str, Any] = {
    "scene": {"max_points": 4000},
    "text": {"hidden": 256},
    "layers": {"mlp_ratio": 4.0, "dropout": 0.1, "wavelengths": (0.04, 0.20, 1.10)},
    "backbone": {
        "encoder_channels": (36, 72, 144, 192, 384),
        "encoder_heads": (2, 4, 8, 16, 32),
        "decoder_channels": (72, 72, 144, 192),
        "decoder_heads": (4, 4, 8, 16),
        "windows": (120, 120, 120, 120, 120),
        "stem_kernel": 5,
        "scene_rotary": False,
    },
    "neck": {"channels": 72, "heads": 4, "film_text": True},
    "heads": {"hidden": 72, "head_text": True},
}
_OFFICIAL: Mapping[str, Any] = {
    "text": {"encoder": "clip", "width": 512, "max_tokens": 77},
    "heads": {"gripper_symmetry": False},
    "diffusion": {"position_scale": 1.0, "clip_sample": 1.0},
    "losses": {"rotation_sigma": 0.0, "head_position_noise": 0.01, "position_weight": 20.0, "rotation_weight": 1.0},
    "official_behaviour": OfficialBehaviour(),
}


def _changed(config: MiniDiffuserConfig, changes: Mapping[str, Any]) -> MiniDiffuserConfig:
    return with_values(config, changes, "MiniDiffuserConfig")
