"""Checkpoint directories, whole and damaged."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.perception import fuse_views
from mini_diffuser_ros.policy import (
    CheckpointError,
    MiniDiffuser,
    Policy,
    PolicyError,
    load_policy,
    read_checkpoint,
    read_fusion,
    save_policy,
)
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge, write_knowledge
from mini_diffuser_ros.records import LAB, CameraView, FusionConfig, Provenance
from mini_diffuser_ros.support.holding import HeldError, Hold
from mini_diffuser_ros.support.sealing import unsealed

FUSION = FusionConfig(voxel_size=0.007)
WORLD = Provenance((LAB,), ("fr3",), ("0123456789abcdef",), ("front", "wrist"))
TASKS = {"press": ("press the red button", "push red"), "stack": ("red on blue",)}
KILLED_SAVE = """
import os, sys
from mini_diffuser_ros.policy import MiniDiffuser, MiniDiffuserConfig, save_policy
left = int(sys.argv[2])
def count(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left < 0:
            os._exit(9)
sys.addaudithook(count)
save_policy(MiniDiffuser(MiniDiffuserConfig.small()), sys.argv[1], card="# Another\\n")
"""


@pytest.fixture
def folder(model: MiniDiffuser, tmp_path: Path) -> Path:
    save_policy(model, tmp_path / "checkpoint", "# A card\n", FUSION, TASKS, WORLD)
    return tmp_path / "checkpoint"


def test_a_policy_comes_back_as_it_was(model: MiniDiffuser, folder: Path) -> None:
    policy = load_policy(folder)
    assert policy.config == model.config
    assert policy.fusion == read_fusion(folder) == FUSION
    assert policy.tasks == TASKS
    assert read_checkpoint(folder).world == WORLD
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
    assert "model.safetensors: damaged, or of another policy" in _refused(folder)
    _sign(folder)
    assert "model.safetensors: not readable as safetensors" in _refused(folder)
    (folder / "config.json").write_text('{"norm": ')
    assert "config.json: not readable as JSON" in _refused(folder)
    (folder / "config.json").write_text("[]")
    assert "config.json: holds a list" in _refused(folder)


def test_fields_that_have_changed_are_refused_until_somebody_says_that_it_was_meant(folder: Path) -> None:
    path = folder / "config.json"
    fields = json.loads(path.read_text())
    fields["fusion"]["voxel_size"] = 0.004
    path.write_text(json.dumps(fields))
    assert "config.json: has changed since it was written; restore it, or take its sha256 out" in _refused(folder)
    del fields["sha256"]
    path.write_text(json.dumps(fields))
    assert read_fusion(folder) == replace(FUSION, voxel_size=0.004)


def _sign(folder: Path) -> None:
    """Write the digest of the weights as they are into config.json."""
    fields = unsealed(json.loads((folder / "config.json").read_text()))
    fields["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(fields))


def _leaves(fields: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in fields.items():
        yield (*path, name)
        if isinstance(value, dict) and name != "tasks":
            yield from _leaves(value, (*path, name))


def test_each_missing_and_each_unknown_field_is_named(folder: Path) -> None:
    path = folder / "config.json"
    text = path.read_text()
    for place in list(_leaves(unsealed(json.loads(text)))):
        if place == ("encoder_sha256",):
            continue  # which earlier ones do not say
        fields = unsealed(json.loads(text))
        group = fields
        for name in place[:-1]:
            group = group[name]
        value = group.pop(place[-1])
        path.write_text(json.dumps(fields))
        assert f"{'.'.join(place)} is missing" in _refused(folder)
        group |= {place[-1]: value, "colour": 1}
        path.write_text(json.dumps(fields))
        assert f"{'.'.join((*place[:-1], 'colour'))} is unknown" in _refused(folder)


def test_one_that_does_not_say_its_world_is_brought_over_with_its_weights_as_they_are(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, weights = folder / "config.json", (folder / "model.safetensors").read_bytes()
    fields = unsealed(json.loads(config.read_text()))
    del fields["world"]
    config.write_text(json.dumps({**fields, "format_version": 2}))
    assert f"of the second format; bring it over with 'mini-diffuser upgrade {folder}'" in _refused(folder)
    out = tmp_path / "new"
    words = ["--world", "table", "--robot", "panda", "--cameras", "wrist,front"]
    assert main(["upgrade", str(folder), str(out), *words]) == 0
    assert "trained in: simulated table; robot panda; cameras front, wrist" in capsys.readouterr().out
    assert (out / "model.safetensors").read_bytes() == weights
    assert read_checkpoint(out).weights_sha256 == fields["weights_sha256"]
    assert (load_policy(out).tasks, load_policy(out).fusion) == (TASKS, FUSION)
    assert main(["upgrade", str(folder)]) == 0  # in place, of a world that nobody knows
    assert read_checkpoint(folder).world == Provenance(("unknown",))
    assert main(["info", str(out)]) == 0
    assert "trained in: simulated table; robot panda" in capsys.readouterr().out
    assert main(["upgrade", str(out), "--robot", "r2d2"]) == 2


def test_a_bad_value_is_named(folder: Path) -> None:
    path = folder / "config.json"
    text = path.read_text()
    for place, value in (("format_version", 4), ("weights_sha256", "0"), ("fusion", 1), ("tasks", [1])):
        path.write_text(json.dumps(unsealed(json.loads(text)) | {place: value}))
        assert f"config.json: {place} is {value!r}, expected" in _refused(folder)


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_is_refused(folder: Path, position: float, bit: int) -> None:
    path = folder / "model.safetensors"
    content = bytearray(whole := path.read_bytes())
    content[int(position * len(content))] ^= 1 << bit
    path.write_bytes(content)
    assert "model.safetensors: damaged" in _refused(folder)
    path.write_bytes(whole)
    load_policy(folder)


def test_a_digest_of_other_weights_is_refused(folder: Path) -> None:
    path = folder / "config.json"
    fields = unsealed(json.loads(path.read_text()))
    digest = fields["weights_sha256"]
    path.write_text(json.dumps(fields | {"weights_sha256": digest[1:] + digest[0]}))
    assert "model.safetensors: damaged, or of another policy" in _refused(folder)


@pytest.mark.parametrize(
    ("value", "named"), [(torch.nan, "not finite"), (-torch.inf, "not finite"), (1e38, "1e+38"), (0.0, "is zero")]
)
def test_absurd_weights_are_neither_read_nor_written(
    model: MiniDiffuser, folder: Path, tmp_path: Path, value: float, named: str
) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["txt_fc.weight"].fill_(value)
    save_file(weights, path)
    _sign(folder)
    assert "model.safetensors: txt_fc.weight" in (message := _refused(folder))
    assert named in message
    with torch.no_grad():
        model.txt_fc.weight.fill_(value)
    with pytest.raises(CheckpointError, match=r"txt_fc\.weight"):
        save_policy(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.process
@pytest.mark.parametrize("renames", range(5))
def test_a_killed_save_leaves_the_old_checkpoint_or_the_new_one(
    model: MiniDiffuser, folder: Path, renames: int
) -> None:
    words = [sys.executable, "-c", KILLED_SAVE, str(folder), str(renames)]
    assert subprocess.run(words, check=False).returncode == (9 if renames < 4 else 0)
    policy = load_policy(folder)
    is_old = all(torch.equal(value, policy.model.state_dict()[name]) for name, value in model.state_dict().items())
    assert is_old == (renames < 3)
    assert policy.tasks == (TASKS if is_old else {})
    save_policy(model, folder, "# A card\n", FUSION, TASKS)
    assert sorted(path.name for path in folder.glob("*.*") if not path.name.endswith(".partial")) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_images_are_fused_as_in_training(model: MiniDiffuser) -> None:
    depth = np.full((8, 8), 0.5, np.float32)
    pose = np.array([[1.0, 0, 0, 0.5], [0, -1, 0, 0], [0, 0, -1, 0.6], [0, 0, 0, 1]])
    view = CameraView("front", np.zeros((8, 8, 3), np.uint8), depth, np.diag([20.0, 20.0, 1.0]), pose)
    cloud = Policy(model, fusion=FUSION).fuse([view])
    assert len(cloud) > 0
    assert np.array_equal(cloud.points, fuse_views([view], FUSION).points)
    with pytest.raises(PolicyError, match="trained on clouds"):
        Policy(model).fuse([view])


def test_every_tensor_that_does_not_fit_is_named(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["txt_fc.bias"]
    weights["txt_fc.weight"] = weights["txt_fc.weight"][:, :5].contiguous()
    weights["extra"] = torch.zeros(1)
    weights["ptv3_model.mid_conv.conv.1.bias"][0] = torch.nan
    save_file(weights, path)
    _sign(folder)
    message = _refused(folder)
    for part in ("txt_fc.bias is missing", "txt_fc.weight has shape", "extra is unexpected", "not finite"):
        assert part in message


def test_an_unknown_device_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="device 'abacus'"):
        load_policy(folder, device="abacus")


def test_what_is_written_after_a_save_that_was_cut_short_settles_its_weights(model: MiniDiffuser, folder: Path) -> None:
    digest = read_checkpoint(folder).weights_sha256
    (folder / "model.safetensors").rename(folder / f".{digest}.safetensors")
    (folder / f".{'0' * 64}.safetensors").write_bytes(b"of another save")
    write_knowledge(Knowledge(), folder)
    policy = load_policy(folder)
    assert all(torch.equal(value, policy.model.state_dict()[name]) for name, value in model.state_dict().items())
    assert (folder / "model.safetensors").exists()
    assert not list(folder.glob(".*.safetensors"))


def test_a_directory_has_one_writer(model: MiniDiffuser, folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    with Hold(folder / ".writer", "the policy"):
        for write in (lambda: save_policy(model, folder, "# Mine\n"), lambda: write_knowledge(Knowledge(), folder)):
            with pytest.raises(HeldError, match="is being written by process"):
                write()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_knowledge_of_another_policy_is_not_put_beside_one_that_took_its_place(
    model: MiniDiffuser, folder: Path
) -> None:
    learned_on = read_checkpoint(folder).weights_sha256
    write_knowledge(Knowledge(), folder, learned_on)
    save_policy(MiniDiffuser(model.config), folder)
    with pytest.raises(CheckpointError, match="holds another policy than that which this was learned of"):
        write_knowledge(Knowledge(), folder, learned_on)


@pytest.mark.parametrize(
    ("lower", "upper", "said"),
    [
        ([250, -400, 4], [800, 400, 600], "expected metres"),
        ([-900, -900, 0], [900, 900, 900], "expected metres"),
        ([5, 5, 5], [6, 6, 6], "has nothing of the network's"),
    ],
)
def test_clouds_that_the_network_does_not_look_at_are_refused(
    folder: Path, lower: list[float], upper: list[float], said: str
) -> None:
    path = folder / "config.json"
    fields = unsealed(json.loads(path.read_text()))
    fields["fusion"]["workspace"] = {"lower": lower, "upper": upper}
    path.write_text(json.dumps(fields))
    assert "fusion.workspace is " in _refused(folder)
    assert said in _refused(folder)


def test_the_sentence_encoder_is_known_by_its_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = read_checkpoint(folder).encoder_sha256
    assert known == load_policy(folder).text.digest()  # type: ignore[attr-defined]
    monkeypatch.setattr("mini_diffuser_ros.policy.text.minilm.MiniLMEncoder.digest", lambda _: "f" * 64)
    assert f"another sentence encoder minilm than is installed here (sha256 {known[:12]}, here ffff" in _refused(folder)
    load_policy(folder, text=lambda _: torch.zeros(3, 384))  # which is not that encoder at all
    path = folder / "config.json"
    fields = unsealed(json.loads(path.read_text()))
    del fields["encoder_sha256"]
    path.write_text(json.dumps(fields))
    load_policy(folder)  # an earlier one does not say it
