"""Published checkpoints: read exactly, or refused with one line."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mini_diffuser_ros.bench.golden import ROW_STRIDE, golden_values, golden_weights
from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.policy import (
    CheckpointError,
    MiniDiffuser,
    MiniDiffuserConfig,
    import_official,
    load_model,
    load_policy,
)
from mini_diffuser_ros.policy.errors import TextError

Weights = dict[str, Tensor]
Save = Callable[..., Path]


@pytest.fixture(scope="module")
def published() -> Weights:
    """The 611 tensors of a published file, with the golden weights."""
    names = MiniDiffuser(MiniDiffuserConfig.official()).state_dict() | {"anchor_embeding": torch.empty(1, 3)}
    weights = golden_weights(names)
    assert len(weights) == 611
    assert sum(value.numel() for value in weights.values()) == 17_649_632 + 3_589
    return weights


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(content: Any, zipped: bool = True) -> Path:
        path = tmp_path / "model_step_95200.pt"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        return path

    return save


def _refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as refusal:
        import_official(path)
    message = str(refusal.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_published_file_gives_the_published_features(published: Weights, save: Save, zipped: bool) -> None:
    model = import_official(save(published, zipped))
    golden = golden_values()
    points, words = golden["pc_fts"], golden["txt_embeds"]
    with torch.inference_mode():
        scene = model.encode(points, torch.zeros(len(points), dtype=torch.long), words, torch.tensor([len(words)]))
        query = torch.zeros(24, dtype=torch.long)
        noise = model.predict_noise(scene, golden["query_xyz"], golden["query_k"].long(), query)
    pairs = [(noise, golden["query_eps"])]
    for coarse_first in range(4):  # the finest level may be in another order; the noise has read it
        pairs.append((scene.features[4 - coarse_first][::ROW_STRIDE], golden[f"level{coarse_first}_feat"]))
    for given, expected in pairs:
        assert (given - expected).abs().max() < 1e-4 * expected.abs().max()
    assert not model.training


def test_every_tensor_arrives(published: Weights, save: Save) -> None:
    counter = "ptv3_model.embedding.stem.norm.num_batches_tracked"
    weights = published | {counter: torch.tensor(95_200)}
    arrived = import_official(save(weights)).state_dict()
    assert weights.keys() - arrived.keys() == {"anchor_embeding"}
    assert all(torch.equal(value, weights[name]) for name, value in arrived.items())


def test_the_prefix_of_parallel_training_is_taken_off(published: Weights, save: Save) -> None:
    arrived = import_official(save({f"module.{name}": value for name, value in published.items()})).state_dict()
    assert all(torch.equal(value, published[name]) for name, value in arrived.items())


def test_a_prefix_on_some_names_is_not(published: Weights, save: Save) -> None:
    weights = dict(published)
    weights["module.txt_fc.bias"] = weights.pop("txt_fc.bias")
    assert _refused(save(weights)) == "module.txt_fc.bias is unexpected; txt_fc.bias is missing"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("txt_fc.bias", None, "txt_fc.bias is missing"),
        ("anchor_embeding", None, "anchor_embeding is missing"),
        ("anchor_embeding", torch.zeros(3), "anchor_embeding has shape (3,), expected (1, 3)"),
        ("optimizer", torch.zeros(1), "optimizer is unexpected"),
        ("txt_fc.weight", torch.zeros(512, 256), "txt_fc.weight has shape (512, 256), expected (256, 512)"),
        ("txt_fc.bias", torch.full((256,), torch.nan), "txt_fc.bias has values that are not finite"),
        ("txt_fc.bias", torch.zeros(256).long(), "txt_fc.bias has numbers of type int64, expected float32"),
        (
            "ptv3_model.embedding.stem.norm.num_batches_tracked",
            None,
            "ptv3_model.embedding.stem.norm.num_batches_tracked is missing",
        ),
        (
            "txt_fc.bias",
            torch.zeros(256).to_sparse(),
            "expected a state_dict of dense tensors by name; 'txt_fc.bias' is a tensor of layout torch.sparse_coo, "
            "type torch.float32, on cpu",
        ),
        ("step", 95_200, "expected a state_dict of dense tensors by name; 'step' is a int"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(
    published: Weights, save: Save, name: str, value: Any, message: str
) -> None:
    weights = {key: kept for key, kept in published.items() if key != name}
    assert _refused(save(weights if value is None else weights | {name: value})) == message


def test_all_of_them_are_named_at_once(published: Weights, save: Save) -> None:
    weights = {name: value for name, value in published.items() if not name.startswith("txt_")}
    message = _refused(save(weights | {"extra": torch.zeros(1)}))
    for part in ("extra is unexpected", "txt_fc.weight is missing", "txt_fc.bias is missing", "txt_attn_fc.bias is"):
        assert part in message


class _Command:
    """What a hostile pickle holds: unpickled without restriction, it runs a command."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._marker}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_wants_to_run_code_is_refused(tmp_path: Path, save: Save, zipped: bool) -> None:
    marker = tmp_path / "ran"
    message = _refused(save({"txt_fc.bias": _Command(marker)}, zipped))
    assert "asks for posix.system" in message
    assert not marker.exists()


def test_a_whole_module_is_refused(save: Save) -> None:
    assert "asks for torch.nn.modules.linear.Linear" in _refused(save(torch.nn.Linear(2, 2)))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(published: Weights, save: Save, zipped: bool) -> None:
    path = save({"txt_fc.weight": published["txt_fc.weight"]}, zipped)
    path.write_bytes(path.read_bytes()[:100_000])
    assert _refused(path).startswith("damaged")


@pytest.mark.parametrize("content", [b"", b"weights\n", bytes(4096), pickle.dumps(print, protocol=4)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    assert _refused(path).startswith(("damaged", "asks for"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "holds a list, expected a state_dict: tensors by name"),
        (torch.zeros(2), "holds a Tensor, expected a state_dict: tensors by name"),
        ({}, "holds nothing, expected a state_dict: tensors by name"),
    ],
)
def test_something_else_than_a_state_dict_is_refused(save: Save, content: Any, message: str) -> None:
    assert _refused(save(content)) == message


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    assert _refused(tmp_path / "none.pt") == "No such file or directory"
    assert _refused(tmp_path) == "Is a directory"


def test_the_command_writes_a_policy_directory(
    published: Weights, save: Save, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, folder = save(published), tmp_path / "official"
    words = ["import-official", str(file), str(folder)]
    assert main(words) == 0
    assert load_model(folder).config == MiniDiffuserConfig.official()
    card = (folder / "README.md").read_text()
    assert "model_step_95200.pt" in card
    assert "official behaviour" in card

    assert main(words) == 2
    assert "holds a policy already" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0

    (folder / "model.safetensors").unlink()
    assert main([*words, "--force"]) == 2
    assert main(["import-official", str(file), str(file)]) == 2
    assert main(["import-official", str(tmp_path / "none.pt"), str(tmp_path / "new")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert not (tmp_path / "new").exists()


def test_an_imported_policy_says_that_it_needs_clip(
    published: Weights, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no_weights_here"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "no_weights_here"))
    folder = tmp_path / "official"
    assert main(["import-official", str(save(published)), str(folder)]) == 0
    with pytest.raises(TextError) as refusal:
        load_policy(folder)
    assert "clip" in str(refusal.value)
    assert "\n" not in str(refusal.value)
