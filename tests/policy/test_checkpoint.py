"""Checkpoint directories, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mini_diffuser_ros.policy import CheckpointError, MiniDiffuser, load_policy, save_policy


@pytest.fixture
def folder(model: MiniDiffuser, tmp_path: Path) -> Path:
    save_policy(model, tmp_path / "checkpoint", card="# A card\n")
    return tmp_path / "checkpoint"


def test_a_policy_comes_back_as_it_was(model: MiniDiffuser, folder: Path) -> None:
    policy = load_policy(folder)
    assert policy.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(policy.model.state_dict()[name], value)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert (folder / "README.md").read_text() == "# A card\n"


def _refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as refusal:
        load_policy(folder)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_missing_directory_or_file_is_named(folder: Path) -> None:
    assert "no such directory" in _refused(folder / "elsewhere")
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        assert f"{name}: missing" in _refused(folder)


def test_a_damaged_file_is_named(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert "model.safetensors: not readable" in _refused(folder)
    (folder / "config.json").write_text('{"norm": ')
    assert "config.json: not readable as JSON" in _refused(folder)
    (folder / "config.json").write_text("[]")
    assert "config.json: holds a list" in _refused(folder)


def test_a_bad_field_is_named(folder: Path) -> None:
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"norm": "group"}))
    assert "config.json: norm: 'group'" in _refused(folder)
    path.write_text(json.dumps(fields | {"colour": 1}))
    assert "config.json: colour: not a field" in _refused(folder)


def test_every_tensor_that_does_not_fit_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["txt_fc.bias"]
    weights["txt_fc.weight"] = weights["txt_fc.weight"][:, :5].contiguous()
    weights["extra"] = torch.zeros(1)
    weights["ptv3_model.mid_conv.conv.1.bias"][0] = torch.nan
    save_file(weights, path)
    message = _refused(folder)
    for part in ("txt_fc.bias is missing", "txt_fc.weight has shape", "extra is unexpected", "not finite"):
        assert part in message


def test_an_unknown_device_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="device 'abacus'"):
        load_policy(folder, device="abacus")
