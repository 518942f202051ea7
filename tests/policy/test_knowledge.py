"""What a policy knows about itself, beside its weights: stored, read back, and refused where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.policy import (
    CheckpointError,
    MiniDiffuser,
    MiniDiffuserConfig,
    load_policy,
    read_checkpoint,
    save_policy,
)
from mini_diffuser_ros.policy.checkpoint import WEIGHTS_FILE
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.familiarity import (
    Familiarity,
    FamiliaritySettings,
    familiarity_encoder,
    pooled,
)
from mini_diffuser_ros.policy.knowledge.judge import LEVELS_BY_TASK, Judge
from mini_diffuser_ros.policy.knowledge.knowledge import KNOWLEDGE_FILE, Knowledge, write_knowledge
from mini_diffuser_ros.policy.knowledge.stand_ins import StandIns, merged
from mini_diffuser_ros.policy.knowledge.words import levels_by_task
from mini_diffuser_ros.policy.text.minilm import MiniLMEncoder
from mini_diffuser_ros.support.sealing import file_digest, sealed, unsealed

EXAMPLES = {"press": ("press the red button",), "stack": ("red on blue", "put red on blue")}


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return familiarity_encoder(None)


@pytest.fixture(scope="module")
def familiarity(encoder: MiniLMEncoder) -> Familiarity:
    torch.manual_seed(0)
    states = torch.stack([pooled(encoder(sentence)) for known in EXAMPLES.values() for sentence in known])
    judges = [Judge(encoder.width, 2, 8) for _ in range(2)]
    counts = {"press": 7, "red": 100}
    return Familiarity(
        judges,
        states,
        FamiliaritySettings(2, 8, counts, ("press", "red"), EXAMPLES, ()),
        Threshold(0.5, 0.01, 200, 0.99),
        "by hand",
    )


def test_a_word_is_known_as_well_as_the_task_that_a_sentence_sounds_like_makes_it(encoder: MiniLMEncoder) -> None:
    by_task = {"press": {"press": 7, "red": 40, "button": 9}, "stack": {"stack": 7, "red": 40, "ball": 40}}
    counts = {"press": 7, "red": 80, "button": 9, "stack": 7, "ball": 40}
    button = levels_by_task(["", "press", "red", "button", ""], counts, by_task)
    ball = levels_by_task(["", "press", "red", "ball", "button", ""], counts, by_task)
    assert button == [ball[0], *ball[1:3], ball[4], ball[5]]
    assert levels_by_task(["stack", "red", "ball"], counts, by_task)[2] != ball[3]
    assert max(button) == button[0] == LEVELS_BY_TASK - 1
    settings = FamiliaritySettings(1, 8, counts, ("press", "red"), EXAMPLES, (), by_task=by_task)
    states = torch.stack([pooled(encoder(sentence)) for known in EXAMPLES.values() for sentence in known])
    known = Familiarity([settings.judge(encoder.width)], states, settings, Threshold(0.5, 0.01, 200, 0.99), "by hand")
    restored = Familiarity.restored(known.facts, known.tensors(), MiniDiffuserConfig.small())
    before, after = known.read("press the red ball", encoder), restored.read("press the red ball", encoder)
    assert after.score == pytest.approx(before.score, abs=2e-3)


@pytest.fixture
def folder(model: MiniDiffuser, familiarity: Familiarity, tmp_path: Path) -> Path:
    save_policy(model, tmp_path / "checkpoint", tasks=EXAMPLES)
    write_knowledge(Knowledge(familiarity), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(sentence=st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=20))
def test_it_comes_back_as_it_was(sentence: str, familiarity: Familiarity, encoder: MiniLMEncoder, folder: Path) -> None:
    restored = load_policy(folder).knowledge.familiarity
    assert restored is not None
    before, after = familiarity.read(sentence, encoder), restored.read(sentence, encoder)
    assert after.score == pytest.approx(before.score, abs=2e-3)  # stored in half precision
    assert after.threshold == before.threshold
    assert restored.facts == familiarity.facts


def test_it_names_the_nearest_sentence_of_each_task_the_nearest_first(
    familiarity: Familiarity, encoder: MiniLMEncoder
) -> None:
    assert familiarity.read("press the blue button", encoder).nearest[0] == "press the red button"
    assert familiarity.read("put blue on red", encoder).nearest == ("put red on blue", "press the red button")


def test_a_sentence_that_says_no_name_of_those_that_all_say_is_not_familiar(encoder: MiniLMEncoder) -> None:
    torch.manual_seed(0)
    states = torch.stack([pooled(encoder("press the red button"))])
    settings = FamiliaritySettings(
        1, 8, {}, ("press", "red"), {"press": ("press the red button",)}, ("golf ball", "red")
    )
    known = Familiarity([Judge(encoder.width, 2, 8)], states, settings, Threshold(0.001, 0.0, 0), "by hand")
    for sentence in ("Press the RED button!", "fetch the golf-ball"):
        assert known.read(sentence, encoder).score > 0.0
    for sentence in ("press the button", "a golf club and a ball", "hundred"):
        assert known.read(sentence, encoder).score == 0.0


COLORS = ("red", "green", "golf ball")


@given(said=st.lists(st.sampled_from(COLORS), min_size=1, max_size=4), joined=st.sampled_from((" ", "-", "  ")))
def test_which_name_is_said_makes_no_difference_but_which_are_the_same_does(said: list[str], joined: str) -> None:
    read = StandIns([COLORS]).read(" on ".join(name.replace(" ", joined) for name in said))
    order = list(dict.fromkeys(said))
    assert read.split(" on ") == [COLORS[order.index(name)] for name in said]
    other = dict(zip(COLORS, (*COLORS[1:], COLORS[0]), strict=True))
    assert StandIns([COLORS]).read(" on ".join(other[name] for name in said)) == read


def test_words_that_hold_a_name_are_none() -> None:
    assert (
        StandIns([COLORS]).read("Greenland is not GREEN, scared is not Red")
        == "Greenland is not red, scared is not green"
    )
    assert StandIns([]).read("red") == "red"
    assert merged([("a", "b"), ("x", "y"), ("b", "c")]) == (("a", "b", "c"), ("x", "y"))


def test_a_judge_may_see_words_by_themselves(encoder: MiniLMEncoder) -> None:
    torch.manual_seed(0)
    states = torch.stack([pooled(encoder("press the red button"))])
    settings = FamiliaritySettings(
        1, 8, {}, ("press", "red"), {"press": ("press the red button",)}, (), (("blue", "red"),), True
    )
    known = Familiarity([Judge(2 * encoder.width, 2, 8)], states, settings, Threshold(0.5, 0.0, 0), "by hand")
    scores = {known.read(sentence, encoder).score for sentence in ("press the red button", "press the  blue button")}
    assert len(scores) == 1
    assert known.read("press the red pedal", encoder).score not in scores
    restored = Familiarity.restored(known.facts, known.tensors(), MiniDiffuserConfig.small())
    assert restored.read("press the red button", encoder).score == pytest.approx(scores.pop(), abs=2e-3)


def test_a_checkpoint_of_before_stand_ins_is_read(
    folder: Path, familiarity: Familiarity, encoder: MiniLMEncoder
) -> None:
    values = json.loads((folder / "config.json").read_text())
    for name in ("classes", "lexical"):
        del values["knowledge"]["parts"]["familiarity"]["settings"][name]
    _write(folder, values)
    restored = load_policy(folder).knowledge.familiarity
    assert restored is not None
    expected = familiarity.read("press the red button", encoder).score
    assert restored.read("press the red button", encoder).score == pytest.approx(expected, abs=2e-3)


def test_a_checkpoint_keeps_its_digest_and_its_modes_when_it_gets_to_know_itself(
    model: MiniDiffuser, familiarity: Familiarity, tmp_path: Path
) -> None:
    save_policy(model, tmp_path, tasks=EXAMPLES)
    before = read_checkpoint(tmp_path)
    assert before.knowledge is None
    assert load_policy(tmp_path).knowledge.parts() == {}
    write_knowledge(Knowledge(familiarity), tmp_path)
    after = read_checkpoint(tmp_path)
    assert after.digest() == before.digest()
    assert replace(after, knowledge=None) == before


def test_another_policy_saved_in_its_place_knows_nothing(model: MiniDiffuser, folder: Path) -> None:
    save_policy(model, folder, tasks=EXAMPLES)
    assert read_checkpoint(folder).knowledge is None
    assert not (folder / KNOWLEDGE_FILE).exists()


def test_info_says_what_it_knows_and_what_not(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "knows its familiarity, by hand" in said
    assert "below 0.500 refuses 1.0% of 200 good cases held out; 99.0% of the made-up bad ones" in said
    assert f"nothing of its presence, sureness, completion; teach it with 'mini-diffuser assess {folder}" in said


@pytest.mark.parametrize(
    ("file", "said"), [(KNOWLEDGE_FILE, "knowledge.safetensors: damaged"), (WEIGHTS_FILE, "model.safetensors: damaged")]
)
def test_info_vouches_for_nothing_that_cannot_be_loaded(
    folder: Path, capsys: pytest.CaptureFixture[str], file: str, said: str
) -> None:
    content = bytearray((folder / file).read_bytes())
    content[-3] ^= 4
    (folder / file).write_bytes(content)
    assert main(["info", str(folder)]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert said in told.err
    (folder / file).unlink()
    assert main(["info", str(folder)]) == 2
    assert f"{file}: missing" in capsys.readouterr().err


def test_info_reads_what_a_part_says_of_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["knowledge"]["parts"]["familiarity"]["thresholds"] = {}
    _write(folder, values)
    assert main(["info", str(folder)]) == 2
    assert "assess the policy again" in capsys.readouterr().err


def _refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_policy(folder)
    assert "\n" not in str(caught.value)
    assert load_policy(folder, with_knowledge=False).knowledge.parts() == {}
    return str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(position=st.floats(0.0, 1.0, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_its_tensors_is_refused(folder: Path, position: float, bit: int) -> None:
    path = folder / KNOWLEDGE_FILE
    good = path.read_bytes()
    bad = bytearray(good)
    bad[int(position * len(bad))] ^= 1 << bit
    path.write_bytes(bad)
    try:
        assert f"{path}: damaged" in _refused(folder)
    finally:
        path.write_bytes(good)


def test_missing_tensors_are_refused(folder: Path) -> None:
    (folder / KNOWLEDGE_FILE).unlink()
    assert f"{folder / KNOWLEDGE_FILE}: missing" in _refused(folder)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        (("thresholds", "sentence", "value"), 1.5, "thresholds.sentence.value is 1.5, expected a number in [0, 1]"),
        (("thresholds", "sentence", "value"), -0.1, "thresholds.sentence.value is -0.1, expected a number in [0, 1]"),
        (("thresholds", "sentence", "refuses"), 2.0, "refuses is 2.0, expected a number in [0, 1]"),
        (("thresholds", "sentence", "catches"), "most", "catches is 'most', expected a number"),
        (("thresholds", "sentence", "cases"), -1, "cases is -1, expected a number in [0, 1e+09]"),
        (("thresholds",), {}, "familiarity has thresholds [], expected one of 'sentence'"),
        (("settings", "judges"), 0, "has judges 0"),
        (("settings", "judges"), 3, "judge2"),
        (("settings", "channels"), 12, "judge0"),
        (("settings", "examples"), {}, "has no example"),
        (("settings", "examples"), {"press": ["press the red button"]}, "states of its 1 examples"),
        (("settings", "counts"), {"press": "often"}, "settings.counts.press is 'often', expected a whole number"),
    ],
)
def test_a_field_that_makes_no_sense_is_refused(folder: Path, field: tuple[str, ...], value: Any, said: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    part = values["knowledge"]["parts"]["familiarity"]
    for name in field[:-1]:
        part = part[name]
    part[field[-1]] = value
    _write(folder, values)
    assert said in _refused(folder)


@pytest.mark.parametrize("name", ["tensors_sha256", "weights_sha256", "parts"])
def test_a_block_without_a_field_is_refused(folder: Path, name: str) -> None:
    values = json.loads((folder / "config.json").read_text())
    del values["knowledge"][name]
    _write(folder, values)
    assert f"knowledge.{name} is missing" in _refused(folder)


def test_knowledge_of_other_weights_is_refused(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["knowledge"]["weights_sha256"] = "0" * 64
    _write(folder, values)
    assert "knowledge.weights_sha256 is that of another policy's weights" in _refused(folder)


def test_an_unknown_part_is_refused(folder: Path) -> None:
    values = json.loads((folder / "config.json").read_text())
    values["knowledge"]["parts"]["familarity"] = values["knowledge"]["parts"].pop("familiarity")
    _write(folder, values)
    assert "did you mean 'familiarity'" in _refused(folder)


def _write(folder: Path, values: dict[str, Any]) -> None:
    (folder / "config.json").write_text(json.dumps(sealed({k: v for k, v in values.items() if k != "sha256"})))


def _without_example(tensors: dict[str, torch.Tensor]) -> None:
    tensors["examples"][0, 0] = torch.nan


def _whole_numbers(tensors: dict[str, torch.Tensor]) -> None:
    tensors["examples"] = torch.zeros(tensors["examples"].shape, dtype=torch.int32)


@pytest.mark.parametrize("change", [_without_example, _whole_numbers])
def test_states_of_examples_that_cannot_be_are_refused(
    familiarity: Familiarity, change: Callable[[dict[str, torch.Tensor]], None]
) -> None:
    tensors = {name: value.clone() for name, value in familiarity.tensors().items()}
    change(tensors)
    with pytest.raises(ValueError, match=r"has no examples of shape \(3, 384\)"):
        Familiarity.restored(familiarity.facts, tensors, MiniDiffuserConfig.small())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("counts", {"press": 7, "red": -5}, "has a count of -5 for 'red'"),
        ("by_task", {"press": {"red": -1}}, "has a count of -1 for 'red'"),
        ("vocabulary", ("red", "red"), "has a word twice"),
    ],
)
def test_words_that_cannot_be_are_refused(familiarity: Familiarity, name: str, value: Any, said: str) -> None:
    facts = familiarity.facts
    facts = replace(facts, settings={**facts.settings, name: value})
    with pytest.raises(ValueError, match=said):
        Familiarity.restored(facts, familiarity.tensors(), MiniDiffuserConfig.small())


@pytest.mark.parametrize("name", ["familiarity.judge9.bogus", "unknown.x"])
def test_tensors_that_no_part_has_are_refused(folder: Path, name: str) -> None:
    tensors = load_file(folder / KNOWLEDGE_FILE) | {name: torch.zeros(3)}
    save_file(tensors, folder / KNOWLEDGE_FILE)
    path = folder / "config.json"
    fields = unsealed(json.loads(path.read_text()))
    fields["knowledge"]["tensors_sha256"] = file_digest(folder / KNOWLEDGE_FILE)
    path.write_text(json.dumps(sealed(fields)))
    with pytest.raises(CheckpointError, match=f"holds {name}, which no part of it has; assess the policy again"):
        load_policy(folder)
