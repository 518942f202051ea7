"""Configurations: presets, dictionaries, refusals that name the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig
from mini_diffuser_ros.support.settings import SettingsError, from_mapping, to_mapping

PRESETS = (MiniDiffuserConfig.small, MiniDiffuserConfig.base, MiniDiffuserConfig.official)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_json(preset: Any) -> None:
    config = preset()
    assert from_mapping(MiniDiffuserConfig, json.loads(json.dumps(to_mapping(config))), "", complete=True) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text.encoder", "bert"),
        ("layers.dropout", 1.5),
        ("layers.wavelengths", ()),
        ("layers.wavelengths", (0.1, 0.2)),
        ("scene.voxel_size", 0.0),
        ("scene.voxel_size", "1 cm"),
        ("scene.voxel_size", float("nan")),
        ("scene.workspace.upper", (0.1, 1.0, 1.0)),
        ("scene.workspace.lower", (0.2, 0.3)),
        ("backbone.encoder_heads", (2, 3)),
        ("backbone.stem_kernel", 4),
        ("neck.channels", 50),
        ("neck.film_text", 1),
        ("scene.max_points", True),
        ("losses.heatmap_level", 2),
        ("official_behaviour", {}),
        ("colour", "red"),
        ("scene.colour", "red"),
    ],
)
def test_a_bad_field_is_named_in_one_line(field: str, value: Any) -> None:
    with pytest.raises(SettingsError) as refusal:
        MiniDiffuserConfig.small(**{field: value})
    message = str(refusal.value)
    assert "\n" not in message
    assert field in message


def test_small_is_small_and_the_others_have_the_published_size() -> None:
    def size(config: MiniDiffuserConfig) -> int:
        return sum(parameter.numel() for parameter in MiniDiffuser(config).parameters())

    assert size(MiniDiffuserConfig.small()) < 3_000_000
    assert size(MiniDiffuserConfig.official()) == 17_649_632 - 3  # the published dead anchor vector (1, 3)
    assert abs(size(MiniDiffuserConfig.base()) - 17_649_632) < 100_000
