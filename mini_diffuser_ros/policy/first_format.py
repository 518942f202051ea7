"""Checkpoints of the first format, up to 0.1: brought over once, by ``mini-diffuser upgrade``.

Their config.json held fields of the network alone, not always all of them; perception.json, which could be missing, the
fusion; nothing the sentences.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mini_diffuser_ros.policy.checkpoint import CONFIG_FILE, WEIGHTS_FILE, old_format, read_card, read_config_file
from mini_diffuser_ros.policy.config import MiniDiffuserConfig
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.policy.model import MiniDiffuser
from mini_diffuser_ros.policy.storage import store
from mini_diffuser_ros.policy.weights import unpack_weights
from mini_diffuser_ros.records import FusionConfig, Provenance
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, not_expected, with_values

FUSION_FILE = "perception.json"

_PLACES = {
    "table_height": "scene.table_height",
    "voxel_size": "scene.voxel_size",
    "max_points": "scene.max_points",
    "centre_height": "scene.centre_height",
    "text_encoder": "text.encoder",
    "text_width": "text.width",
    "text_max_tokens": "text.max_tokens",
    "text_hidden": "text.hidden",
    "mlp_ratio": "layers.mlp_ratio",
    "dropout": "layers.dropout",
    "wavelengths": "layers.wavelengths",
    "encoder_channels": "backbone.encoder_channels",
    "encoder_heads": "backbone.encoder_heads",
    "decoder_channels": "backbone.decoder_channels",
    "decoder_heads": "backbone.decoder_heads",
    "windows": "backbone.windows",
    "stem_kernel": "backbone.stem_kernel",
    "scene_rotary": "backbone.scene_rotary",
    "curves": "backbone.curves",
    "neck_channels": "neck.channels",
    "neck_heads": "neck.heads",
    "film_text": "neck.film_text",
    "head_hidden": "heads.hidden",
    "head_text": "heads.head_text",
    "gripper_symmetry": "heads.gripper_symmetry",
    "diffusion_steps": "diffusion.steps",
    "position_scale": "diffusion.position_scale",
    "clip_sample": "diffusion.clip_sample",
    "rotation_sigma": "losses.rotation_sigma",
    "head_position_noise": "losses.head_position_noise",
    "heatmap_level": "losses.heatmap_level",
    "heatmap_sigma": "losses.heatmap_sigma",
    "position_weight": "losses.position_weight",
    "rotation_weight": "losses.rotation_weight",
    "gripper_weight": "losses.gripper_weight",
    "termination_weight": "losses.termination_weight",
    "heatmap_weight": "losses.heatmap_weight",
    "rotation_map_weight": "losses.rotation_map_weight",
}
"""Where the fields that are still there have gone, but for the workspace, which was ranges of x, y and z."""

_ONE_CHOICE: dict[str, Any] = {"encoder_text": True, "noise_levels": "uniform"}
"""Fields that are gone, and the value that the network now has for good."""

_BEHAVIOUR: dict[str, tuple[tuple[Any, ...], tuple[Any, ...]]] = {
    "text_normalized": ((True,), (False,)),
    "attention_dropout": ((0.0,), ()),
    "norm": (("layer",), ("batch",)),
    "input_features": (("fourier",), ("raw",)),
    "curve_shuffle": (("training",), ("never", "always")),
    "centring": (("workspace",), ("cloud",)),
    "grid_origin": (("cloud",), ("batch",)),
    "decoder_position_input": (("sum",), ("skip",)),
    "anchor_features": (("fourier",), ("raw",)),
    "anchor_index": (("per_level",), ("frozen",)),
    "rotary": (("relative",), ("query",)),
    "value_coordinates": ((True,), (False,)),
    "text_pairing": (("own",), ("tiled",)),
    "head_context": (("anchor",), ("scene",)),
    "termination": ((True,), (False,)),
    "schedule": (("cosine",), ("scaled_linear",)),
    "prediction": (("velocity",), ("epsilon",)),
    "step_spacing": (("linspace", "quadratic"), ("trailing", "leading")),
    "heatmap": ((True,), (False,)),
    "rotation_map": ((True,), (False,)),
}
"""Switches of the first format: what our networks had, and what the published one; empty where any value will do."""

_REMEDY = (
    "say with --fusion default that it was trained with the default one, or with none that it was trained on clouds"
)


def upgrade(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    fusion: FusionConfig | None = None,
    from_clouds: bool = False,
    world: Provenance | None = None,
) -> None:
    """Write a checkpoint of the first format in the present one; its weights stay the same, bit by bit.

    A network of ours that decided with evenly spaced noise levels goes on with quadratically spaced ones.

    Args:
        source: directory of the first format.
        destination: directory to write; it may be the same.
        fusion: what it was trained with, for a directory without ``perception.json``.
        from_clouds: such a directory needs none, as its policy was trained on clouds without images.
        world: in which worlds its demonstrations were made, None where that is not known.

    Raises:
        CheckpointError: ``source`` is not of the first format, damaged, of mixed behaviour or without a fusion; one
            line names the file and the field.
        OSError: a file cannot be written.
    """
    folder = Path(source)
    network = _network(folder)
    content = _content(folder / WEIGHTS_FILE)
    unpack_weights(content, MiniDiffuser(network).state_dict(), str(folder / WEIGHTS_FILE))
    served = _fusion(folder / FUSION_FILE) or fusion
    if served is None and not from_clouds:
        raise CheckpointError(f"{folder} has no {FUSION_FILE}; {_REMEDY}")
    store(Path(destination), content, network, served, {}, world or Provenance(), read_card(folder))
    (Path(destination) / FUSION_FILE).unlink(missing_ok=True)


def _fusion(path: Path) -> FusionConfig | None:
    if not path.exists():
        return None
    try:
        values = dict(json.loads(path.read_text(encoding="utf-8")))
        values["workspace"] = {"lower": values.pop("workspace_min"), "upper": values.pop("workspace_max")}
        return from_mapping(FusionConfig, values, str(path), complete=True)
    except SettingsError as error:
        raise CheckpointError(str(error)) from error
    except KeyError as error:
        raise CheckpointError(f"{path}: {error.args[0]} is missing") from error
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: not readable as a JSON object of fields ({error})") from error


def _network(folder: Path) -> MiniDiffuserConfig:
    values = read_config_file(folder)
    path = folder / CONFIG_FILE
    if old_format(values) != "first":
        raise CheckpointError(f"{path}: not a checkpoint of the first format, there is nothing to bring over")
    for name, kept in _ONE_CHOICE.items():
        if values.get(name, kept) != kept:
            raise CheckpointError(
                f"{path}: {name} is {values[name]!r}, which was measured, lost and left out; train anew"
            )
    rest = {name: value for name, value in values.items() if name not in _ONE_CHOICE}
    behaviour = {name: rest.pop(name) for name in _BEHAVIOUR if name in rest}
    try:
        return with_values(MiniDiffuserConfig(), _moved(rest) | _official(behaviour, path), str(path))
    except SettingsError as error:
        raise CheckpointError(str(error)) from error


def _moved(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the first format by their present names; unknown ones stay, to be refused by name."""
    moved = {_PLACES.get(name, name): value for name, value in values.items() if name != "workspace"}
    if "workspace" in values:
        ranges = values["workspace"]
        if not isinstance(ranges, list) or any(not isinstance(limits, list) or len(limits) != 2 for limits in ranges):
            raise not_expected("workspace", ranges, "a range of each axis")
        moved["scene.workspace"] = {"lower": [low for low, _ in ranges], "upper": [high for _, high in ranges]}
    return moved


def _official(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The present settings for the switches that a network had; nothing for one of ours."""
    # Half of the switches would do: a network had them all one way or the other, or is refused.
    official = values.get("norm") == "batch"
    for name, value in values.items():
        known = _BEHAVIOUR[name][official]
        if known and value not in known:
            kind = "the published network" if official else "a network of ours"
            raise CheckpointError(f"{path}: {name} is {value!r}, which is not of {kind}; train anew")
    if not official:
        return {}
    behaviour = {name: values[name] for name in ("step_spacing", "attention_dropout") if name in values}
    return {"official_behaviour": behaviour | {"curve_shuffle": values.get("curve_shuffle") == "always"}}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
