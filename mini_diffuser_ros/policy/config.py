"""Everything that shapes a Mini Diffuser: sizes, behaviour switches and loss weights.

One network, three presets. ``official`` repeats the published network with every quirk that acts at inference;
``base`` has its size and our corrections; ``small`` is the corrected network at a size that two CPU cores train
in minutes. Each correction is one field, so that it can be ablated alone.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mini_diffuser_ros.policy.errors import ConfigError

Range = tuple[float, float]
Curve = Literal["z", "z-trans", "hilbert", "hilbert-trans"]


@dataclass(frozen=True)
class MiniDiffuserConfig:
    """Configuration of one network, stored with every checkpoint.

    Lists run from the finest level to the coarsest. Level 0 has voxels of ``voxel_size``, each further level
    voxels of twice that edge.

    Attributes:
        workspace: ((x_min, x_max), (y_min, y_max), (z_min, z_max)) metres, base frame. Points outside are dropped
            before anything else, in training and in decisions alike.
        table_height: metres, base frame; the seventh feature of a point is its height above it.
        voxel_size: metres, edge of a voxel of level 0. Halving it about triples the cost of a scene.
        max_points: a scene keeps at most this many voxels, evenly spread over the cloud.
        centring: origin of the network's coordinates. ``workspace``: the middle of the workspace at
            ``centre_height``, so that equal scenes look equal wherever the hand is. ``cloud``: the mean of the
            cloud, as published.
        centre_height: metres above the table, z of the origin when ``centring`` is ``workspace``.

        text_encoder: ``minilm`` (ships with its package, 384 wide) or ``clip`` (512 wide, must be downloaded).
        text_width: width of the encoder's token states.
        text_max_tokens: a longer sentence is refused.
        text_hidden: width of the text inside the network, and of the FiLM context.
        text_normalized: scale each token state to zero mean and unit variance first. Off, as published, the
            encoder's outlier dimensions dominate.

        encoder_channels: width of each encoder level; their number is the number of levels.
        encoder_heads: attention heads of each encoder level.
        decoder_channels: width of each decoder level; one entry fewer than the encoder.
        decoder_heads: attention heads of each decoder level.
        windows: points that attend to one another along the space-filling curve, per level. A cloud no larger than
            its window gets full attention.
        stem_kernel: edge of the first sparse convolution, voxels; odd.
        mlp_ratio: hidden width of each MLP over its input width.
        dropout: share of activations of projections and MLPs that are zeroed, in training only.
        attention_dropout: share of attention weights that are zeroed, in training only (published: as ``dropout``).
            Without it the weights never need to be in memory, which halves the time of a step on a CPU.
        norm: ``batch`` (statistics over all points of a batch, as published) or ``layer`` (each point by itself,
            so that scenes do not see their batch-mates in training either).

        input_features: ``raw``: the seven numbers of a point. ``fourier``: colour and height as Fourier features
            beside them, and the offset of the point in its voxel; tells similar colours apart sooner.
        scene_rotary: rotary encoding of metric positions in the points' own window attention (not published).
        curves: space-filling curves a level may be serialised by, the first one by default.
        curve_shuffle: when a random curve is drawn for each level: ``always`` (published, also at inference),
            ``training`` or ``never``.
        grid_origin: corner of the voxel grid: ``batch``, the minimum over all clouds of a batch (published: a
            scene's features then depend on its batch-mates), or ``cloud``, each cloud's own minimum rounded down to a
            coarsest voxel, so that the same surface falls into the same voxels wherever the hand is.
        decoder_position_input: what the first sparse convolution after unpooling sees: ``skip`` (published) or
            ``sum`` of skip and upsampled features.

        neck_channels: width of the noised-position tokens.
        neck_heads: their attention heads; ``neck_channels / neck_heads`` is a multiple of 6.
        anchor_features: how a noised position enters its token: ``raw`` metres (published) or ``fourier``.
        anchor_index: voxel in which a token looks up local features: ``frozen`` at the coarsest level's index
            (published) or ``per_level``.
        rotary: ``query`` turns only queries, before their normalisation (published: attention is then not
            relative); ``relative`` turns queries and keys after it.
        wavelengths: metres, wavelengths of Fourier features and of ``relative`` rotary encodings. They should span
            the voxel and the workspace. Fixed frequencies are used where the behaviour is the published one.
        value_coordinates: append a point's position to what it hands to the tokens.
        film_text: sentence in the FiLM context of the tokens, beside the noise step.
        text_pairing: which text an action's FiLM context gets in training: ``tiled`` (published: another scene's)
            or ``own``.

        head_hidden: hidden width of the heads.
        head_context: what the rotation head sees beside the position: ``scene``, the maximum over the finest
            features (published), or ``anchor``, the token of that position at noise step 0.
        head_text: whether the gripper and termination logits may depend on the sentence. Off, they are read from a
            text-free branch of the encoder: the position already says what the sentence asks for, and words never
            heard cannot open the gripper.
        termination: a termination logit beside the gripper's, so that a run can end by itself.
        gripper_symmetry: treat rotations by 180 degrees about the approach axis as equal, as they are for a
            parallel gripper.
        rotation_sigma: degrees, width of the soft rotation labels; 0 gives one-hot labels, as published.
        head_position_noise: metres, standard deviation of the noise on the position the heads are trained at.

        diffusion_steps: number of noise levels in training.
        schedule: how signal and noise are mixed at each level. ``scaled_linear`` (published; its last level keeps 48 %
            of the signal), or ``cosine`` (none is left).
        prediction: ``epsilon`` (published) or ``velocity``, the direction in which a sample moves as noise grows;
            needed where the last level keeps no signal.
        position_scale: metres per unit of the diffused variable; 1 as published, else about the standard deviation
            of target positions.
        clip_sample: bound on the predicted clean position, in units of ``position_scale``.
        step_spacing: which noise levels a short sampling visits: ``leading`` or ``trailing`` as in the diffusers
            library, ``linspace`` from the noisiest to the cleanest, or ``quadratic``, both ends too but closer
            together towards the clean one.

        heatmap: dense grounding signal: cross-entropy of a target heat-map over scene tokens.
        heatmap_level: level whose tokens carry the heat-map.
        heatmap_sigma: metres, width of the target heat-map in the table plane.
        rotation_map: dense rotation signal: the points around the target, at the heat-map's level, predict the target's
            rotation too.
        position_weight, rotation_weight, gripper_weight, termination_weight, heatmap_weight, rotation_map_weight:
            weights of the losses.
    """

    # Scene
    workspace: tuple[Range, Range, Range] = ((0.25, 0.80), (-0.40, 0.40), (0.004, 0.60))
    table_height: float = 0.0
    voxel_size: float = 0.01
    max_points: int = 1024
    centring: Literal["workspace", "cloud"] = "workspace"
    centre_height: float = 0.12
    # Text
    text_encoder: Literal["minilm", "clip"] = "minilm"
    text_width: int = 384
    text_max_tokens: int = 48
    text_hidden: int = 128
    text_normalized: bool = True
    # Backbone
    encoder_channels: tuple[int, ...] = (24, 72, 96)
    encoder_heads: tuple[int, ...] = (1, 3, 4)
    decoder_channels: tuple[int, ...] = (24, 72)
    decoder_heads: tuple[int, ...] = (1, 3)
    windows: tuple[int, ...] = (96, 320, 320)
    stem_kernel: int = 3
    mlp_ratio: float = 2.0
    dropout: float = 0.0
    attention_dropout: float = 0.0
    norm: Literal["batch", "layer"] = "layer"
    input_features: Literal["raw", "fourier"] = "fourier"
    scene_rotary: bool = True
    curves: tuple[Curve, ...] = ("z", "z-trans", "hilbert", "hilbert-trans")
    curve_shuffle: Literal["always", "training", "never"] = "training"
    grid_origin: Literal["batch", "cloud"] = "cloud"
    decoder_position_input: Literal["skip", "sum"] = "sum"
    # Neck
    neck_channels: int = 96
    neck_heads: int = 4
    anchor_features: Literal["raw", "fourier"] = "fourier"
    anchor_index: Literal["frozen", "per_level"] = "per_level"
    rotary: Literal["query", "relative"] = "relative"
    wavelengths: tuple[float, ...] = (0.04, 0.12, 0.36, 1.10)
    value_coordinates: bool = True
    film_text: bool = False
    text_pairing: Literal["tiled", "own"] = "own"
    # Heads
    head_hidden: int = 96
    head_context: Literal["scene", "anchor"] = "anchor"
    head_text: bool = False
    termination: bool = True
    gripper_symmetry: bool = True
    rotation_sigma: float = 5.0
    head_position_noise: float = 0.004
    # Diffusion
    diffusion_steps: int = 100
    schedule: Literal["scaled_linear", "cosine"] = "cosine"
    prediction: Literal["epsilon", "velocity"] = "velocity"
    position_scale: float = 0.2
    clip_sample: float = 4.0
    step_spacing: Literal["leading", "trailing", "linspace", "quadratic"] = "quadratic"
    # Losses
    heatmap: bool = True
    heatmap_level: int = 1
    heatmap_sigma: float = 0.02
    rotation_map: bool = True
    position_weight: float = 5.0
    rotation_weight: float = 2.0
    gripper_weight: float = 1.0
    termination_weight: float = 1.0
    heatmap_weight: float = 2.0
    rotation_map_weight: float = 1.0

    def __post_init__(self) -> None:
        self._check_types()
        self._check_scene()
        self._check_sizes()
        self._check_behaviour()

    @classmethod
    def small(cls, **changes: Any) -> MiniDiffuserConfig:
        """Corrected behaviour, three levels, about two million parameters: trains on two CPU cores in minutes."""
        return cls(**changes)

    @classmethod
    def base(cls, **changes: Any) -> MiniDiffuserConfig:
        """Corrected behaviour at the published size (17.6 million parameters, five levels)."""
        sizes: dict[str, Any] = {
            "max_points": 4000,
            "text_hidden": 256,
            "encoder_channels": (36, 72, 144, 192, 384),
            "encoder_heads": (2, 4, 8, 16, 32),
            "decoder_channels": (72, 72, 144, 192),
            "decoder_heads": (4, 4, 8, 16),
            "windows": (120, 120, 120, 120, 120),
            "stem_kernel": 5,
            "mlp_ratio": 4.0,
            "dropout": 0.1,
            "scene_rotary": False,
            "neck_channels": 72,
            "neck_heads": 4,
            "wavelengths": (0.04, 0.20, 1.10),
            "film_text": True,
            "head_hidden": 72,
            "head_text": True,
        }
        return cls(**(sizes | changes))

    @classmethod
    def official(cls, **changes: Any) -> MiniDiffuserConfig:
        """The published network with every quirk that acts at inference, except the random choice of curves.

        Pass ``curve_shuffle="always"`` for that too.
        """
        behaviour: dict[str, Any] = {
            "centring": "cloud",
            "text_encoder": "clip",
            "text_width": 512,
            "text_max_tokens": 77,
            "text_normalized": False,
            "attention_dropout": 0.1,
            "norm": "batch",
            "input_features": "raw",
            "curve_shuffle": "never",
            "grid_origin": "batch",
            "decoder_position_input": "skip",
            "anchor_features": "raw",
            "anchor_index": "frozen",
            "rotary": "query",
            "value_coordinates": False,
            "text_pairing": "tiled",
            "head_context": "scene",
            "termination": False,
            "gripper_symmetry": False,
            "rotation_sigma": 0.0,
            "head_position_noise": 0.01,
            "schedule": "scaled_linear",
            "prediction": "epsilon",
            "position_scale": 1.0,
            "clip_sample": 1.0,
            "step_spacing": "trailing",
            "heatmap": False,
            "rotation_map": False,
            "position_weight": 20.0,
            "rotation_weight": 1.0,
        }
        return cls.base(**(behaviour | changes))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MiniDiffuserConfig:
        """Read what :meth:`to_dict` wrote; fields left out keep the default.

        Raises:
            ConfigError: an unknown field, or a value of the wrong type or out of range.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        for name in values:
            if name not in fields:
                raise ConfigError(f"{name}: not a field of the policy's configuration")
        return cls(**{name: _tuples(value) for name, value in values.items()})

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, strings and lists, ready for JSON."""
        return {name: _lists(value) for name, value in dataclasses.asdict(self).items()}

    @property
    def levels(self) -> int:
        """Number of voxel levels."""
        return len(self.encoder_channels)

    @property
    def neck_head_width(self) -> int:
        """Channels of one attention head of the neck."""
        return self.neck_channels // self.neck_heads

    def _check_types(self) -> None:
        hints = typing.get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _matches(value, hints[field.name]):
                raise ConfigError(f"{field.name}: {value!r} is not {_describe(hints[field.name])}")

    def _check_scene(self) -> None:
        for axis, (low, high) in zip("xyz", self.workspace, strict=True):
            _require(low < high, "workspace", f"{axis} range ({low}, {high}) is empty")
        _require(0 < self.voxel_size < 1, "voxel_size", f"{self.voxel_size} m is not between 0 and 1 m")
        for name in ("max_points", "text_width", "text_max_tokens", "text_hidden", "head_hidden", "diffusion_steps"):
            _require(getattr(self, name) >= 1, name, f"{getattr(self, name)} is below 1")

    def _check_sizes(self) -> None:
        levels = self.levels
        _require(2 <= levels <= 8, "encoder_channels", f"{levels} levels, expected 2 to 8")
        for name, expected in (
            ("encoder_heads", levels),
            ("decoder_channels", levels - 1),
            ("decoder_heads", levels - 1),
            ("windows", levels),
        ):
            count = len(getattr(self, name))
            _require(count == expected, name, f"{count} entries, expected {expected} for {levels} levels")
        for channels, heads in (
            ("encoder_channels", "encoder_heads"),
            ("decoder_channels", "decoder_heads"),
        ):
            for width, count in zip(getattr(self, channels), getattr(self, heads), strict=True):
                divides = width >= 1 and count >= 1 and width % count == 0
                _require(divides, heads, f"{count} heads do not divide {width} channels")
                rotary_width = 6 * len(self.wavelengths)
                rotary_fits = not self.scene_rotary or width == count * rotary_width
                _require(rotary_fits, heads, f"{width} / {count} channels a head, scene_rotary needs {rotary_width}")
        _require(min(self.windows) >= 1, "windows", f"{min(self.windows)} is below 1")
        _require(self.stem_kernel % 2 == 1 and self.stem_kernel >= 1, "stem_kernel", f"{self.stem_kernel} is not odd")
        width_fits = self.neck_heads >= 1 and self.neck_channels % (6 * self.neck_heads) == 0 and self.neck_channels > 0
        _require(width_fits, "neck_channels", f"{self.neck_channels} is no multiple of 6 x {self.neck_heads} heads")
        _require(bool(self.curves), "curves", "empty, expected at least one curve")

    def _check_behaviour(self) -> None:
        for name in ("dropout", "attention_dropout"):
            _require(0 <= getattr(self, name) < 1, name, f"{getattr(self, name)} is not in [0, 1)")
        _require(self.mlp_ratio > 0, "mlp_ratio", f"{self.mlp_ratio} is not positive")
        _require(bool(self.wavelengths) and min(self.wavelengths) > 0, "wavelengths", "must be positive metres")
        relative = self.rotary == "relative" or self.scene_rotary
        head_fits = not relative or self.neck_head_width // 6 == len(self.wavelengths)
        expected = self.neck_head_width // 6
        _require(head_fits, "wavelengths", f"{len(self.wavelengths)} given, expected {expected} (head width / 6)")
        keeps_signal = self.prediction == "velocity" or self.schedule == "scaled_linear"
        _require(keeps_signal, "prediction", f"epsilon says nothing at the last level of {self.schedule}, use velocity")
        level = self.heatmap_level
        _require(0 <= level < self.levels - 1, "heatmap_level", f"{level} is no decoder level")
        for name in ("heatmap_sigma", "position_scale", "clip_sample"):
            _require(getattr(self, name) > 0, name, f"{getattr(self, name)} is not positive")
        for name in (
            "rotation_sigma",
            "head_position_noise",
            "position_weight",
            "rotation_weight",
            "gripper_weight",
            "termination_weight",
            "heatmap_weight",
            "rotation_map_weight",
        ):
            _require(getattr(self, name) >= 0, name, f"{getattr(self, name)} is negative")


def _require(condition: bool, field: str, problem: str) -> None:
    if not condition:
        raise ConfigError(f"{field}: {problem}")


def _matches(value: Any, hint: Any) -> bool:
    """Whether a value has an annotated type; an int passes as a float, a bool as neither."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if arguments[-1] is Ellipsis:
            return all(_matches(item, arguments[0]) for item in value)
        return len(value) == len(arguments) and all(map(_matches, value, arguments))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _describe(hint: Any) -> str:
    """An annotated type in words a user can act on."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        items = [item for item in arguments if not isinstance(item, types.EllipsisType)]
        return "a list of " + (_describe(items[0]) if items else "values")
    return {float: "a finite number", int: "a whole number", bool: "true or false"}.get(hint, str(hint))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
