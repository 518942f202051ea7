"""The settings of the fusion travel with a policy."""

from dataclasses import replace
from pathlib import Path

import pytest

from mini_diffuser_ros.perception import FusionConfig
from mini_diffuser_ros.support.settings import SettingsError
from mini_diffuser_ros.training.errors import CheckpointError
from mini_diffuser_ros.training.fusion_settings import FUSION_FILE, changed_fusion, read_fusion, write_fusion


def test_written_settings_are_read_back(tmp_path: Path) -> None:
    assert read_fusion(tmp_path) is None
    settings = changed_fusion(FusionConfig(), {"voxel_size": 0.007, "workspace": {"lower": [0.1, -0.2, 0.3]}})
    assert settings.workspace == replace(FusionConfig().workspace, lower=(0.1, -0.2, 0.3))
    write_fusion(tmp_path, settings)
    assert read_fusion(tmp_path) == settings
    assert [path.name for path in tmp_path.iterdir()] == [FUSION_FILE]


@pytest.mark.parametrize(
    ("changes", "named"), [({"voxel": 1}, "voxel"), ({"voxel_size": -1}, "voxel_size"), ({"keep_hand": 3}, "keep_hand")]
)
def test_unknown_and_impossible_fields_are_named(changes: dict, named: str) -> None:
    with pytest.raises(SettingsError, match=rf"data\.fusion.*{named}"):
        changed_fusion(FusionConfig(), changes)


@pytest.mark.parametrize("text", ["{", '{"voxel": 1}', "[]"])
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FUSION_FILE).write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"perception\.json") as caught:
        read_fusion(tmp_path)
    assert "\n" not in str(caught.value)
