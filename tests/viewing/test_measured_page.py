"""Reports of runs, evaluations and trainings, alone and side by side."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.evaluation import EpisodeResult, JudgedDecision
from mini_diffuser_ros.evaluation.protocol import EvaluationProtocol
from mini_diffuser_ros.evaluation.report import evaluation_report
from mini_diffuser_ros.records import Cloud, KeyframeMode
from mini_diffuser_ros.running import Decision, MotionReport
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.viewing.episode_scenes import EpisodeScenes
from mini_diffuser_ros.viewing.evaluation_blocks import difference_interval
from mini_diffuser_ros.viewing.measured_page import write_measured_page
from mini_diffuser_ros.viewing.report_page import MeasuredEvaluation, read_measured
from mini_diffuser_ros.viewing.run_report import Event, LoggedDecision, LoggedMode, RunReport

from .pages import BROWSER, HOSTILE, Parts, browsed

Block = dict[str, Any]


def _run_folder(parent: Path, name: str, outcome: str = "TERMINATED", checkpoint: str = "ab") -> Path:
    folder = parent / name
    folder.mkdir()
    report = RunReport(HOSTILE, outcome=outcome, message=HOSTILE, checkpoint=checkpoint, seconds=3.0)
    report.events = [Event(0.0, "looking", 1, ""), Event(1.0, "moving", 1, "")]
    report.decisions = [LoggedDecision(0.5, 9, [LoggedMode([0.0] * 7, True, True, 1.0, 0.0)], 1)]
    report.moved(None if outcome != "TERMINATED" else 0, [HOSTILE])
    report.conclude()
    report.write(folder)
    return folder


def _result(task: str, seed: int, success: bool, seen: bool = True) -> EpisodeResult:
    mode = KeyframeMode(np.array([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0]), True, False, 0.8, 0.004)
    cloud = Cloud(np.full((20, 3), 0.4, np.float32), np.full((20, 3), 90, np.uint8), "base") if seen else None
    decisions = (
        JudgedDecision(Decision(1, 0, 0.1, (mode,), MotionReport(0, "reached"), cloud=cloud), True, 0.012),
        JudgedDecision(Decision(2, 1, 0.1, (mode,), MotionReport(None, "all refused", (HOSTILE,)), cloud=cloud)),
    )
    return EpisodeResult(task, seed, HOSTILE, success, "terminated", decisions)


def _evaluation(successes: Sequence[bool]) -> dict[str, Any]:
    results = [_result("push", seed, success) for seed, success in enumerate(successes)]
    return evaluation_report("models/mine", EvaluationProtocol("somewhere", ("push",)), results)


def _evaluation_file(path: Path, successes: Sequence[bool]) -> Path:
    path.write_text(json.dumps(_evaluation(successes)), encoding="utf-8")
    return path


def _training_folder(parent: Path, name: str, rate: float) -> Path:
    folder = parent / name
    folder.mkdir()
    group = {"frames": 10, "median_mm": 4.0, "within_1cm": 0.8, "within_3cm": 0.9, "gripper": 1.0, "terminate": 1.0}
    lines = [json.dumps({"step": k, "seconds": float(k), "rate": 40.0, "total": 30.0 / k}) for k in range(1, 601)]
    lines += [json.dumps({"step": 600, "validation": {"push": {"first": group}}, "score": 0.8}), '{"step": 601, "to']
    (folder / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "recipe.yaml").write_text(f"optim: {{lr: {rate}}}\nseed: 1\n", encoding="utf-8")
    return folder


def _blocks(*paths: Path, out: Path) -> dict[str, Block]:
    """Of a page that the command makes, by their titles."""
    assert main(["report", *map(str, paths), "--out", str(out)]) == 0
    page = Parts.of(out)
    assert page.addresses == []
    return {block.get("title", ""): block for block in page.values["blocks"]}


def test_runs_are_compared_on_one_scale(tmp_path: Path) -> None:
    runs = [_run_folder(tmp_path, "one"), _run_folder(tmp_path, "two", "STOPPED", checkpoint="cd")]
    (runs[0] / "report.html").write_text("its own")
    blocks = _blocks(*runs, out=tmp_path / "page.html")
    rows = blocks["Runs: 1 of 2 succeeded"]["rows"]
    assert [row["row"][2] for row in rows] == ["success", f"STOPPED: {HOSTILE}"]
    assert [blocks[name]["until"] for name in ("one", "two")] == [3.0, 3.0]
    assert blocks["What the time went into"]["rows"] == [["look", "1.0 s", "1.0 s"], ["move", "2.0 s", "2.0 s"]]
    assert blocks["What motion refused"]["rows"] == [["one", "1", HOSTILE], ["two", "1", HOSTILE]]
    assert blocks["Circumstances that differ"]["rows"] == [["checkpoint", "ab", "cd"]]
    assert blocks["Their own reports"]["links"] == [["one", "./one/report.html"]]


def test_a_folder_called_like_a_script_is_linked_as_a_folder(tmp_path: Path) -> None:
    run = _run_folder(tmp_path, "javascript:alert(1)")
    (run / "report.html").write_text("its own")
    ((_, address),) = _blocks(run, out=tmp_path / "page.html")["Their own reports"]["links"]
    assert address == "./javascript%3Aalert%281%29/report.html"


def test_an_evaluation_shows_success_with_intervals_and_failed_episodes_first(tmp_path: Path) -> None:
    file = _evaluation_file(tmp_path / "figures.json", [True, False, True, False])
    blocks = _blocks(file, out=tmp_path / "page.html")
    bars = blocks["Success, with 95 % intervals"]
    assert bars["names"] == ["figures: 50.0 % mean success in 4 episodes"]
    assert bars["rows"][0]["bars"][0]["text"] == "50.0 % (15 to 85), 4 episodes"
    failed = blocks["figures: failed episodes (2)"]
    assert [episode["label"] for episode in failed["episodes"]] == ["push, seed 1", "push, seed 3"]
    assert failed["episodes"][0]["title"] == HOSTILE
    assert [row["row"][-1] for row in failed["episodes"][0]["rows"]] == ["", f"{HOSTILE}; all refused"]
    assert [row["row"][3] for row in blocks["figures: all episodes"]["rows"]] == ["terminated"] * 2 + ["success"] * 2
    assert ["world", "somewhere"] in blocks["Settings"]["rows"]


def test_evaluations_are_compared_on_the_episodes_that_both_had(tmp_path: Path) -> None:
    first = _evaluation_file(tmp_path / "with.json", [True] * 40)
    other = _evaluation_file(tmp_path / "without.json", [False] * 30 + [True] * 10)
    blocks = _blocks(first, other, out=tmp_path / "page.html")
    ((_, against),) = [item for item in blocks.items() if item[0].startswith("Against with")]
    assert against["rows"] == [
        {"row": ["without", "-75.0 points", "-85.8 to -57.5", "40 in common: 0 better, 30 worse"], "became": "executed"}
    ]


def test_what_was_seen_in_failed_episodes_is_on_their_page(tmp_path: Path) -> None:
    scenes, results = EpisodeScenes(), [_result("push", seed, seed == 0) for seed in range(3)]
    for result in [*results, _result("push", 3, False, seen=False)]:
        scenes.keep(result)
    report = evaluation_report("models/mine", EvaluationProtocol("somewhere", ("push",)), results)
    seen = scenes.by_number(report["episodes"])
    assert list(seen) == [1, 2]
    write_measured_page(tmp_path / "page.html", [MeasuredEvaluation("mine", report, seen)])
    blocks = Parts.of(tmp_path / "page.html").values["blocks"]
    (episodes,) = (block["episodes"] for block in blocks if block["kind"] == "episodes")
    assert [scene["label"] for scene in episodes[0]["scenes"]] == ["1", "2"]
    assert episodes[0]["scenes"][0]["scene"]["lines"][0]["label"] == "1: 80 %"


def test_trainings_are_compared_by_their_curves_and_recipes(tmp_path: Path) -> None:
    trainings = [_training_folder(tmp_path, "slow", 0.001), _training_folder(tmp_path, "fast", 0.01)]
    blocks = _blocks(*trainings, out=tmp_path / "page.html")
    assert blocks["Trainings"]["rows"][0] == ["slow", "600", "10.0", "40", "0.05216", "0.800", "0.800 at step 600"]
    loss = blocks["Loss, mean of each stretch of steps"]["chart"]
    assert [curve["name"] for curve in loss["curves"]] == ["slow", "fast"]
    assert len(loss["times"]) == len(loss["curves"][0]["values"]) == 300
    assert loss["curves"][0]["values"][0] == pytest.approx((30.0 + 15.0) / 2.0)
    assert blocks["Recipe that differ"]["rows"] == [["optim.lr", "0.001", "0.01"]]
    assert blocks["slow: held-out demonstrations"]["rows"][0][:4] == ["push", "first", "10", "4.0 mm"]


def test_what_is_called_alike_is_numbered(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    files = [_evaluation_file(tmp_path / name / "figures.json", [True, False]) for name in ("a", "b")]
    assert "figures (2): all episodes" in _blocks(*files, out=tmp_path / "page.html")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there: neither run.json of a run nor metrics.jsonl of a training"),
        ("{}", "is no file of mini-diffuser eval --json"),
        ("[1", "is no file of mini-diffuser eval --json"),
        ('{"tasks": {"push": {}}}', "is no file of mini-diffuser eval --json"),
        ("[" * 100_000, "is no file of mini-diffuser eval --json"),
        ('{"tasks": {}}', "figures: holds values that no report can be made of"),
    ],
)
def test_what_no_report_can_be_made_of_is_said_in_a_line(
    tmp_path: Path, content: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "figures.json"
    if content is not None:
        path.write_text(content)
    assert main(["report", str(path), "--out", str(tmp_path / "page.html")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def _changed(document: Any, names: Sequence[Any], value: Any) -> Any:
    """A document with another value at a place."""
    if not names:
        return value
    inner = list(document) if isinstance(document, list) else dict(document)
    inner[names[0]] = _changed(inner[names[0]], names[1:], value)
    return inner


def _places(document: Any, names: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    if names:
        yield names
    inner = document if isinstance(document, dict) else dict(enumerate(document if isinstance(document, list) else ()))
    for name, value in inner.items():
        yield from _places(value, (*names, name))


WRONG: tuple[Any, ...] = (None, "text", [], {}, math.nan, math.inf, -1, 10**400, [1], {"a": 1}, True)


@pytest.mark.parametrize("kind", ["run", "evaluation", "training"])
def test_a_file_that_was_damaged_anywhere_is_told_in_a_line_or_shown_as_it_is(tmp_path: Path, kind: str) -> None:
    """Whatever one value is changed to: no error but a line, and a page of all the rest."""
    folder = _run_folder(tmp_path, "run") if kind == "run" else _training_folder(tmp_path, "mine", 0.1)
    file = folder / ("run.json" if kind == "run" else "metrics.jsonl")
    if kind == "evaluation":
        file = _evaluation_file(tmp_path / "figures.json", [True, False])
    document = json.loads(file.read_text() if kind != "training" else file.read_text().splitlines()[-2])
    refused: list[str] = []
    for number, place in enumerate(_places(document)):
        for value in (WRONG[(number + step) % len(WRONG)] for step in (0, 4, 8)):
            file.write_text(json.dumps(_changed(document, place, value)))
            try:
                measured = read_measured(file if kind == "evaluation" else folder)
                write_measured_page(tmp_path / "page.html", [measured, measured])
            except UserError as error:
                refused.append(str(error))
    assert len(refused) > (10 if kind == "training" else 40)
    assert not [line for line in refused if "\n" in line or len(line) > 600]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("success", True, "success is true of a run that ended with FAILED"),
        ("seconds", math.nan, "seconds is nan, expected a finite number"),
        ("seconds", -1.0, "seconds is -1, less than nothing"),
        ("events", "x", "events is 'x', expected a list"),
        ("decisions", [{"seconds": 1.0, "points": 1, "modes": [], "chosen": 3}], "no candidate 3, which was chosen"),
    ],
)
def test_a_run_that_contradicts_itself_is_no_run(tmp_path: Path, field: str, value: Any, said: str) -> None:
    folder = _run_folder(tmp_path, "run", outcome="FAILED")
    document = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**document, field: value}))
    with pytest.raises(UserError, match=said):
        read_measured(folder)


def test_run_folders_that_are_cut_short_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cut, whole = (_run_folder(tmp_path, name) for name in ("cut", "whole"))
    (cut / "run.json").write_text((cut / "run.json").read_text()[:200])
    assert main(["report", str(whole), str(cut), "--out", str(tmp_path / "page.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()
    (whole / "cloud.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    assert main(["report", str(whole), "--out", str(tmp_path / "page.html")]) == 0
    assert "cloud.png is damaged" in Parts.of(tmp_path / "page.html").data


def test_runs_that_were_killed_are_shown_beside_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [_run_folder(tmp_path, name) for name in ("whole", "goes_on", "long_ago")]
    RunReport(HOSTILE).begun().write(runs[1])
    (runs[2] / "run.json").unlink()
    (runs[2] / "video.mp4").touch()
    blocks = _blocks(*runs, out=tmp_path / "page.html")
    assert f"of 2 reports; no record in {runs[2]}, " in capsys.readouterr().out
    rows = blocks["Runs: 1 of 1 succeeded, 1 more without an end"]["rows"]
    assert [row["row"][0] for row in rows] == ["whole", "goes_on"]
    assert rows[1]["row"][2].startswith("UNFINISHED: it goes on, or was ended before")
    assert "goes_on" not in blocks
    assert blocks["Circumstances"]["head"] == ["", "whole"]
    assert blocks["Folders without a record"]["rows"][0][0] == "long_ago"


def test_where_nothing_is_recorded_there_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    assert main(["report", *map(str, folders), "--out", str(tmp_path / "page.html")]) == 2
    assert "holds neither run.json of a run nor metrics.jsonl" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_what_is_named_again_by_whatever_way_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = _run_folder(tmp_path, "one"), _run_folder(tmp_path, "two")
    (tmp_path / "link").symlink_to(run)
    again = (run, other, run / ".." / "one", tmp_path / "link")
    blocks = _blocks(*again, out=tmp_path / "page.html")
    rows = blocks["Runs: 2 of 2 succeeded"]["rows"]
    assert [row["row"][0] for row in rows] == ["one", "two"]
    assert "of 2 reports; 2 named again are shown once, " in capsys.readouterr().out
    file = _evaluation_file(tmp_path / "figures.json", [True, False])
    assert not [title for title in _blocks(file, file, out=tmp_path / "page.html") if title.startswith("Against")]


def test_what_is_missing_of_a_record_is_told(tmp_path: Path) -> None:
    run = _run_folder(tmp_path, "one")
    report = RunReport.read(run)
    report.missing = {"film": HOSTILE}
    report.write(run)
    blocks = _blocks(run, _run_folder(tmp_path, "two"), out=tmp_path / "page.html")
    assert blocks["What is missing of their records"]["rows"] == [["one", "film", HOSTILE]]


HALF = "\ud800"  # of a character of UTF-16, which UTF-8 cannot hold; JSON can


@pytest.mark.parametrize("kind", ["run", "evaluation", "training", "name"])
def test_half_a_character_is_replaced(tmp_path: Path, kind: str) -> None:
    if kind == "run":
        path = _run_folder(tmp_path, "run")
        document = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps({**document, "instruction": f"press {HALF} it"}))
    elif kind == "evaluation":
        path = tmp_path / "figures.json"
        figures = _evaluation([True, False])
        figures["episodes"][1]["sentence"] = f"press {HALF} it"
        path.write_text(json.dumps(figures))
    elif kind == "training":
        path = _training_folder(tmp_path, "run", 0.1)
        group = {"frames": 1, "median_mm": 4.0, "within_1cm": 1, "within_3cm": 1, "gripper": 1, "terminate": 1}
        line = {"step": 700, "validation": {f"press {HALF} it": {"first": group}}}
        (path / "metrics.jsonl").write_text(json.dumps(line))
    else:  # of a folder, in an encoding of long ago
        path = _run_folder(tmp_path, os.fsdecode(b"press \xe9 it"))
        (path / "report.html").write_text("its own")
    assert main(["report", str(path), "--out", str(tmp_path / "page.html")]) == 0
    assert "press \ufffd it" in Parts.of(tmp_path / "page.html").data


@pytest.mark.parametrize("group", ["within_3cm", "median_mm", "frames"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_of_a_training_that_is_none_is_a_gap(tmp_path: Path, group: str, value: float) -> None:
    folder = _training_folder(tmp_path, "mine", 0.1)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()[-2:-1]]
    lines.append(json.loads(json.dumps({**lines[0], "step": 700})))
    lines[1]["validation"]["push"]["first"][group] = value
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    blocks = _blocks(folder, out=tmp_path / "page.html")
    (row,) = blocks["mine: held-out demonstrations"]["rows"]
    assert "-" in row
    curve = blocks["push: decisions within 3 cm of the demonstration"]["chart"]["curves"][0]["values"]
    assert [value for value in curve if value is not None] == ([90.0] if group == "within_3cm" else [90.0, 90.0])


def test_an_empty_training_has_its_report(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text("")
    training = read_measured(tmp_path)
    write_measured_page(tmp_path / "page.html", [training])
    assert Parts.of(tmp_path / "page.html").values["verdict"] == "0 steps"


counts = st.integers(0, 60).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@given(counts, counts)
def test_the_interval_of_a_difference_holds_it_and_turns_with_its_sign(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    low, high = difference_interval(first, second)
    rates = [successes / trials if trials else 0.5 for successes, trials in (first, second)]
    assert -1.0 - 1e-9 <= low <= rates[1] - rates[0] <= high <= 1.0 + 1e-9
    assert difference_interval(second, first) == pytest.approx((-high, -low))


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_shows_a_comparison_with_sentences_as_text(tmp_path: Path) -> None:
    scenes, results = EpisodeScenes(), [_result("push", seed, seed == 0) for seed in range(3)]
    for result in results:
        scenes.keep(result)
    report = evaluation_report("models/mine", EvaluationProtocol("somewhere", ("push",)), results)
    measured = [
        read_measured(_run_folder(tmp_path, "one")),
        MeasuredEvaluation("mine", report, scenes.by_number(report["episodes"])),
        read_measured(_training_folder(tmp_path, "slow", 0.001)),
    ]
    page = tmp_path / "page.html"
    write_measured_page(page, measured)
    shown = browsed(page.as_uri(), tmp_path / "profile")
    body = shown.split("<main")[1].split("</main>")[0]
    assert "<title>broken" not in shown
    assert "&lt;/script&gt;&lt;img src=x onerror=" in body
    assert "<b>it</b>" not in body
    assert body.count('class="bar move"') == 1
    assert "push, seed 1" in body
    assert body.count('class="curve"') >= 2
    assert "held-out demonstrations" in body  # the last block of all
