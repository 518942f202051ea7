"""Checkpoints of the first format: refused with the remedy, and brought over by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.policy import CheckpointError, MiniDiffuser, MiniDiffuserConfig, Policy, load_policy, save_policy
from mini_diffuser_ros.records import Cloud, FusionConfig

PERCEPTION = {
    "frame": "world",
    "workspace_min": [0.1, -0.2, 0.0],
    "workspace_max": [0.7, 0.2, 0.5],
    "voxel_size": 0.008,
    "min_depth": 0.05,
    "max_depth": 3.0,
    "drop_flying_points": True,
    "flying_point_jump": 0.02,
    "link_margin": 0.012,
    "hand_margin": 0.006,
    "keep_hand": False,
    "keep_fingers": True,
    "outlier_neighbors": 0,
    "outlier_std_ratio": 2.0,
}


CONFIG = Path(__file__).with_name("first_format.json")  # config.json of models/tabletop in 0.1.0


@pytest.fixture
def model() -> MiniDiffuser:
    torch.manual_seed(0)
    changes = {"scene.voxel_size": 0.015, "losses.heatmap_level": 0}
    return MiniDiffuser(MiniDiffuserConfig.small(**changes)).eval()


@pytest.fixture
def old(model: MiniDiffuser, tmp_path: Path) -> Path:
    """A directory as the first format had it."""
    folder = tmp_path / "old"
    save_policy(model, folder, card="# A card\n")
    (folder / "config.json").write_text(CONFIG.read_text())
    (folder / "perception.json").write_text(json.dumps(PERCEPTION))
    return folder


def test_it_is_refused_with_the_command_that_brings_it_over(old: Path) -> None:
    with pytest.raises(CheckpointError, match=f"of the first format; bring it over with 'mini-diffuser upgrade {old}'"):
        load_policy(old)


@pytest.mark.parametrize("in_place", [True, False])
def test_an_upgraded_policy_decides_as_before(
    model: MiniDiffuser, old: Path, tmp_path: Path, in_place: bool, block_cloud: Callable[..., Cloud]
) -> None:
    before = (old / "model.safetensors").read_bytes()
    out = old if in_place else tmp_path / "new"
    assert main(["upgrade", str(old)] + ([] if in_place else [str(out)])) == 0
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (out / "model.safetensors").read_bytes() == before
    assert (out / "README.md").read_text() == "# A card\n"
    policy = load_policy(out)
    assert policy.config == model.config
    assert policy.fusion is not None
    assert (policy.fusion.voxel_size, policy.fusion.workspace.upper) == (0.008, (0.7, 0.2, 0.5))
    expected = Policy(model).decide(block_cloud(), "press the red button", samples=4, steps=3)
    decided = policy.decide(block_cloud(), "press the red button", samples=4, steps=3)
    assert [mode.pose.tolist() for mode in decided] == [mode.pose.tolist() for mode in expected]


def test_without_a_stored_fusion_one_has_to_be_named(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old / "perception.json").unlink()
    assert main(["upgrade", str(old)]) == 2
    assert "--fusion default" in capsys.readouterr().err
    assert main(["upgrade", str(old), str(old / "a"), "--fusion", "default"]) == 0
    assert load_policy(old / "a").fusion == FusionConfig()
    assert main(["upgrade", str(old), str(old / "b"), "--fusion", "none"]) == 0
    assert load_policy(old / "b").fusion is None


def test_faults_are_named_in_one_line(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old / "perception.json").write_text(json.dumps(PERCEPTION | {"colour": 1}))
    assert main(["upgrade", str(old)]) == 2
    (old / "perception.json").write_text("{")
    assert main(["upgrade", str(old)]) == 2
    (old / "config.json").write_text(json.dumps({"voxel_size": 0.01, "colour": 1}))
    assert main(["upgrade", str(old)]) == 2
    assert main(["upgrade", str(old / "none")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    for line, part in zip(
        lines, ("colour is unknown", "perception.json: not readable", "colour", "missing"), strict=True
    ):
        assert part in line


def test_a_network_of_ours_that_was_centred_on_clouds_is_refused(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(fields | {"centring": "cloud"}))
    assert main(["upgrade", str(old)]) == 2
    assert "centring is 'cloud', which is not of a network of ours" in capsys.readouterr().err


def test_a_checkpoint_of_today_has_nothing_to_bring_over(
    model: MiniDiffuser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_policy(model, tmp_path)
    assert main(["upgrade", str(tmp_path)]) == 2
    assert "nothing to bring over" in capsys.readouterr().err
