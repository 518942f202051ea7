"""Configurations: presets, dictionaries, refusals that name the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mini_diffuser_ros.policy import ConfigError, MiniDiffuser, MiniDiffuserConfig

PRESETS = (MiniDiffuserConfig.small, MiniDiffuserConfig.base, MiniDiffuserConfig.official)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_survives_json(preset: Any) -> None:
    config = preset()
    assert MiniDiffuserConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("norm", "group"),
        ("dropout", 1.5),
        ("voxel_size", 0.0),
        ("voxel_size", "1 cm"),
        ("voxel_size", float("nan")),
        ("workspace", ((0.2, 0.1), (0.0, 1.0), (0.0, 1.0))),
        ("workspace", ((0.2, 0.3), (0.0, 1.0))),
        ("encoder_heads", (2, 3)),
        ("neck_channels", 50),
        ("film_text", 1),
        ("max_points", True),
        ("heatmap_level", 2),
        ("colour", "red"),
    ],
)
def test_a_bad_field_is_named_in_one_line(field: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refusal:
        MiniDiffuserConfig.from_dict({field: value})
    message = str(refusal.value)
    assert "\n" not in message
    assert field in message


def test_small_is_small_and_the_others_have_the_published_size() -> None:
    def size(config: MiniDiffuserConfig) -> int:
        return sum(parameter.numel() for parameter in MiniDiffuser(config).parameters())

    assert size(MiniDiffuserConfig.small()) < 3_000_000
    assert size(MiniDiffuserConfig.official()) == 17_649_632 - 3  # the published dead anchor vector (1, 3)
    assert abs(size(MiniDiffuserConfig.base()) - 17_649_632) < 100_000
