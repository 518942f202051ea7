"""The page of a run: what it shows of runs of every kind, how large it is, and that no text on it is taken for HTML."""

from __future__ import annotations

import base64
import errno
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.records import Cloud
from mini_diffuser_ros.robots import load_robot
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.health import HealthLevel
from mini_diffuser_ros.viewing import run_page
from mini_diffuser_ros.viewing.joint_speeds import JointPeak, JointSpeeds
from mini_diffuser_ros.viewing.offline_page import page_text
from mini_diffuser_ros.viewing.run_page import KEPT_POINTS, RunSights, run_values, write_run_page
from mini_diffuser_ros.viewing.run_report import Event, HealthChange, LoggedDecision, LoggedMode, RunReport
from mini_diffuser_ros.viewing.run_timeline import seconds_by_kind, spans_of
from mini_diffuser_ros.viewing.run_video import Film, RunVideo, film_within

from .pages import BROWSER, HOSTILE, Parts, browsed

LIMIT = 5_000_000
"""Bytes that a report of a run of 15 keyframes may have."""
PHASES = (("looking", 0.0), ("deciding", 0.4), ("planning", 0.5), ("moving", 0.6), ("gripper", 1.6), ("moved", 1.9))
MODES = [
    LoggedMode([0.5, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0], True, False, 0.75, 0.004),
    LoggedMode([0.4, 0.1, 0.1, 1.0, 0.0, 0.0, 0.0], False, True, 0.25, 0.01),
]
REFUSAL = "candidate 1: joint 4 would be at 0.1 rad, allowed are -3.07 to -0.07"


def _report(keyframes: int, sentence: str = HOSTILE) -> RunReport:
    report = RunReport(sentence, task="stack_blocks", outcome="TERMINATED", message=HOSTILE, confirmed=True)
    for number in range(keyframes):
        report.events += [Event(2.0 * number + begin, phase, number + 1, HOSTILE) for phase, begin in PHASES]
        report.decisions.append(LoggedDecision(2.0 * number + 0.5, 900, MODES, number + 1, sureness=[0.9, None]))
        report.moved(1 if number == 1 else 0, [REFUSAL] if number == 1 else [])
    report.keyframes, report.seconds, report.checkpoint = keyframes, 2.0 * keyframes, "ab" * 32
    report.conclude()
    return report


def _cloud(points: int) -> Cloud:
    generator = np.random.default_rng(0)
    places = generator.uniform((0.3, -0.3, 0.0), (0.7, 0.3, 0.3), (points, 3)).astype(np.float32)
    return Cloud(places, generator.integers(0, 255, (points, 3), dtype=np.uint8), "panda_link0")


def _page(folder: Path, report: RunReport, sights: RunSights | None = None) -> Parts:
    return Parts.of(write_run_page(folder, report, sights or RunSights()))


def test_a_page_tells_outcome_time_decisions_and_what_became_of_candidates(tmp_path: Path) -> None:
    page = _page(tmp_path, _report(3), RunSights(clouds={0: _cloud(50), 1: _cloud(60)}))
    values = page.values
    assert values["sentence"] == HOSTILE
    assert (values["succeeded"], values["verdict"]) == (True, "success")
    facts = dict(values["facts"])
    assert facts["checkpoint"] == "ab" * 32
    assert (facts["keyframes reached"], facts["candidates refused"]) == ("3", "1")
    assert values["timeline"]["lanes"] == [
        ["look", 1.2], ["decide", 0.3], ["plan", 0.3], ["move", 3.0], ["grip", 0.9], ["rest", 0.3],
    ]  # fmt: skip
    first, second, third = values["decisions"]
    assert [one["became"] for one in first["candidates"]] == ["executed", ""]
    assert [one["row"][-1] for one in second["candidates"]] == [REFUSAL, "executed"]
    assert second["candidates"][0]["row"][1:3] == ["75 %", "90 %"]
    assert [line["label"] for line in second["scene"]["lines"]] == ["2: 25 % ends", "1: 75 % refused"]
    assert third["scene"] is None
    assert values["film"]["missing"].startswith("No film")
    assert dict(values["versions"])["Python"]


def test_a_page_needs_nothing_but_itself(tmp_path: Path) -> None:
    page = _page(tmp_path, _report(1))
    assert page.addresses == []
    assert page.policy.startswith("default-src 'none'; img-src data:; media-src blob:;")
    assert "http" not in "".join(page.scripts).replace("http://www.w3.org/2000/svg", "")


def _stopped() -> RunReport:
    report = RunReport("press it", outcome="STOPPED", message="the arm was stopped", seconds=1.0)
    report.events.append(Event(0.2, "looking", 1, ""))
    return report


@pytest.mark.parametrize(
    ("report", "verdict"),
    [
        (RunReport(""), "FAILED: not ended"),
        (RunReport("press it", message="no action server on mini_diffuser/execute"), "FAILED: no action server"),
        (_stopped(), "STOPPED: the arm was stopped"),
        (RunReport("x" * 5000, outcome="REFUSED", message="too long"), "REFUSED: too long"),
    ],
)
def test_a_run_that_came_to_nothing_has_its_page(tmp_path: Path, report: RunReport, verdict: str) -> None:
    report.conclude()
    values = _page(tmp_path, report).values
    assert values["verdict"].startswith(verdict)
    assert values["decisions"] == []
    assert values["speeds"]["chart"] is None


def test_numbers_that_are_none_do_not_keep_a_page_from_being_written(tmp_path: Path) -> None:
    report, nowhere = _report(1), float("nan")
    lost = LoggedMode([nowhere] * 7, True, False, nowhere, nowhere)
    report.decisions[0] = LoggedDecision(0.5, 3, [lost])
    cloud = Cloud(np.full((3, 3), np.nan, np.float32), np.zeros((3, 3), np.uint8), "base")
    (decision,) = _page(tmp_path, report, RunSights(clouds={0: cloud})).values["decisions"]
    assert "3 points" in decision["about"]
    assert decision["candidates"][0]["row"][3] == "nan nan nan"


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_texts_come_back_as_they_were_and_make_no_elements(sentence: str, message: str, refusal: str) -> None:
    report = _report(1, sentence)
    report.message = message
    report.moved(None, [refusal])
    report.diagnosed(0.1, refusal, HealthLevel.WARN, message)
    page = Parts(page_text(sentence, (), run_values(report, RunSights())))
    assert page.tags == ["html", "head", "meta", "meta", "meta", "title", "style", "body", "main", "script"]
    assert page.values["sentence"] == sentence
    assert page.values["decisions"][0]["candidates"][0]["row"][-1] == refusal
    assert page.values["diagnostics"] == [["0.1 s", refusal, "WARN", message]]


def test_a_page_of_fifteen_keyframes_with_large_clouds_and_a_large_film_has_its_size(tmp_path: Path) -> None:
    film = tmp_path / "video.mp4"
    film.write_bytes(bytes(2_400_000))
    sights = RunSights(
        clouds={number: _cloud(30_000) for number in range(15)},
        speeds=_speeds(seconds=60.0),
        film=Film(film, 5.0, tuple(0.2 * frame for frame in range(450))),
    )
    page = write_run_page(tmp_path, _report(15), sights)
    values = Parts.of(page).values
    assert page.stat().st_size <= LIMIT
    assert len(base64.b64decode(values["film"]["mp4"])) == 2_400_000
    assert len(base64.b64decode(values["decisions"][14]["scene"]["cloud"]["colors"])) == 3 * KEPT_POINTS


def test_a_film_that_is_too_large_stays_beside_the_page(tmp_path: Path) -> None:
    film = tmp_path / "video.mp4"
    film.write_bytes(bytes(9_000_000))
    page = write_run_page(tmp_path, _report(2), RunSights(film=Film(film, 5.0, (0.0, 0.2))))
    assert page.stat().st_size <= LIMIT
    assert Parts.of(page).values["film"]["missing"].endswith("it lies beside it: video.mp4")


@pytest.mark.process
def test_a_large_film_is_made_smaller(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    video, generator = RunVideo(path, ["front", "wrist"], (640, 480), 5.0), np.random.default_rng(0)
    for _ in range(10):
        coarse = generator.integers(0, 255, (24, 32, 3), dtype=np.uint8)
        picture = np.repeat(np.repeat(coarse, 20, axis=0), 20, axis=1)
        video.add({"front": picture, "wrist": picture}, "press it")
    video.close()
    film = Film(path, 5.0, tuple(0.2 * frame for frame in range(10)))
    most = path.stat().st_size // 4
    content = film_within(film, most, patience=60.0)
    assert content is not None
    assert len(content) <= most
    smaller = tmp_path / "smaller.mp4"
    smaller.write_bytes(content)
    assert imageio_ffmpeg.count_frames_and_secs(str(smaller))[0] == 10


def _speeds(seconds: float = 1.0, factor: float = 0.5) -> JointSpeeds:
    robot = load_robot("panda")
    speeds = JointSpeeds(robot)
    for time in np.arange(0.0, seconds, 0.02):
        speeds.add(time, time, robot.home, factor * robot.velocity_limits * np.sin(time * np.pi / seconds))
    return speeds


def test_speeds_are_told_against_the_limits_where_the_joints_were(tmp_path: Path) -> None:
    report = _report(1)
    report.joint_peaks = _speeds().peaks()
    values = _page(tmp_path, report, RunSights(speeds=_speeds())).values["speeds"]
    assert [row[0] for row in values["peaks"]] == list(load_robot("panda").arm_joint_names)
    assert {row[2] for row in values["peaks"]} == {"50 %"}
    assert values["over"] == ""
    assert len(values["chart"]["times"]) == 20
    assert max(values["chart"]["curves"][0]["values"]) == pytest.approx(50.0, abs=0.2)


def test_a_joint_over_its_limit_is_named(tmp_path: Path) -> None:
    report = _report(1)
    report.joint_peaks = [JointPeak("panda_joint1", 2.3, 1.06), JointPeak("panda_joint2", 1.0, 0.5)]
    assert _page(tmp_path, report).values["speeds"]["over"] == "over their limits as measured: panda_joint1"


@given(
    st.lists(st.tuples(st.floats(0.0, 100.0), st.sampled_from([phase for phase, _ in PHASES] + ["new"])), max_size=20),
    st.floats(0.0, 200.0),
)
def test_times_of_all_kinds_make_up_the_run(begins: Sequence[tuple[float, str]], rest: float) -> None:
    events = [Event(seconds, phase, 1, "") for seconds, phase in sorted(begins)]
    spans = spans_of(events, events[-1].seconds + rest if events else rest)
    assert all(before.end == after.start for before, after in pairwise(spans))
    whole = spans[-1].end - spans[0].start if spans else 0.0
    assert sum(seconds_by_kind(spans).values()) == pytest.approx(whole)


def test_diagnostics_are_kept_where_they_change() -> None:
    report = RunReport("press it")
    for seconds, level, message in (
        (0.1, 0, "24 Hz"),
        (1.1, 0, "25 Hz"),
        (2.1, 1, "late by 2 s"),
        (3.1, 1, "late by 3.5 s"),
        (4.1, 0, ""),
    ):
        report.diagnosed(seconds, "camera", level, message)
    report.diagnosed(5.0, "policy", 0, "ready")
    report.diagnosed(5.0, "odd", 7, "?")
    assert report.findings == [
        HealthChange(0.1, "camera", "OK", ""),
        HealthChange(2.1, "camera", "WARN", "late by 2 s"),
        HealthChange(4.1, "camera", "OK", ""),
        HealthChange(5.0, "policy", "OK", ""),
        HealthChange(5.0, "odd", "level 7", "?"),
    ]
    shown = run_values(report, RunSights())["diagnostics"]
    assert shown[0] == ["always", "policy", "OK", ""]
    assert [row[2] for row in shown[1:]] == ["OK", "WARN", "OK", "level 7"]


def test_of_the_time_before_the_sentence_the_last_state_is_kept() -> None:
    report = RunReport("press it")
    for level, message in ((2, "no images"), (1, "few images"), (0, "")):
        report.diagnosed(0.0, "camera", level, message)
    assert report.findings == [HealthChange(0.0, "camera", "OK", "")]


def _flapping(report: RunReport, part: str, times: int) -> None:
    for number in range(times):
        report.diagnosed(1.0 + number, part, number % 2, "nothing comes" if number % 2 else "")


def test_a_part_that_comes_and_goes_does_not_keep_others_from_being_heard() -> None:
    report = RunReport("press it")
    for camera in ("front", "side"):
        _flapping(report, f"perception_node: {camera}", 400)
    report.diagnosed(500.0, "motion_node: motion", HealthLevel.ERROR, "STOPPED: the guard stopped the arm")
    assert report.findings[-1].message == "STOPPED: the guard stopped the arm"
    kept = Counter(each.name for each in report.findings)
    assert max(kept.values()) <= 20
    for camera in ("front", "side"):
        name = f"perception_node: {camera}"
        own = [each for each in report.findings if each.name == name]
        assert (own[0].seconds, own[-1].seconds) == (1.0, 400.0)
        assert kept[name] + report.findings_left_out[name] == 400
    shown = run_values(report, RunSights())["diagnostics"]
    left_out = "changes that are left out: 380 of perception_node: front, 380 of perception_node: side"
    assert [row[3] for row in shown[-2:]] == ["STOPPED: the guard stopped the arm", left_out]


def test_an_error_in_the_midst_of_much_else_is_kept() -> None:
    report = RunReport("press it")
    _flapping(report, "camera", 50)
    report.diagnosed(60.0, "camera", HealthLevel.ERROR, "frozen")
    _flapping(report, "camera", 100)
    assert HealthChange(60.0, "camera", "ERROR", "frozen") in report.findings


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.sampled_from("abc")), max_size=700))
def test_the_latest_and_the_first_error_of_each_part_are_kept_and_the_rest_is_counted(
    said: list[tuple[int, int, str]],
) -> None:
    report, latest, errors, changes = RunReport("press it"), {}, {}, Counter[str]()
    for number, (part, level, words) in enumerate(said):
        name, words = f"part {part}", words if level else ""
        report.diagnosed(1.0 + number, name, level, words)
        if latest.get(name) != (level, words):
            latest[name] = level, words
            changes[name] += 1
            if level == HealthLevel.ERROR:
                errors.setdefault(name, 1.0 + number)
    kept = Counter(each.name for each in report.findings)
    assert len(report.findings) <= 400
    assert {name: kept[name] + report.findings_left_out.get(name, 0) for name in changes} == dict(changes)
    for name, (level, words) in latest.items():
        last = next(each for each in reversed(report.findings) if each.name == name)
        assert (last.level, last.message) == (HealthLevel(level).name, words)
    for name, seconds in errors.items():
        assert any((each.name, each.seconds, each.level) == (name, seconds, "ERROR") for each in report.findings)


def test_more_parts_than_any_stack_has_do_not_fill_the_file() -> None:
    report = RunReport("press it")
    for number in range(2000):
        report.diagnosed(1.0 + number, f"part {number}" * 200, number % 3, "x" * 100_000)
    assert len(report.findings) <= 400
    assert sum(report.findings_left_out.values()) == 2000 - len(report.findings)
    assert max(len(each.message) + len(each.name) for each in report.findings) <= 2000


def test_what_is_missing_of_a_record_is_on_its_page(tmp_path: Path) -> None:
    report = _report(1)
    report.missing = {"film": "there is no ffmpeg", "clouds": "too short (the first of 3 times)"}
    values = _page(tmp_path, report).values
    assert values["film"]["missing"] == "No film: there is no ffmpeg"
    said = "film: there is no ffmpeg; clouds: too short (the first of 3 times)"
    assert dict(values["facts"])["missing here"] == said


def test_a_disk_without_room_for_the_film_has_the_page_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "video.mp4"
    film.write_bytes(bytes(1_000_000))

    def write(path: Path, title: str, scripts: Sequence[str], data: Any) -> None:
        if len(text := page_text(title, scripts, data)) > 500_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_text(text)

    monkeypatch.setattr(run_page, "write_page", write)
    sights = RunSights(film=Film(film, 5.0, (0.0, 0.2)))
    values = Parts.of(write_run_page(tmp_path, _report(1), sights)).values
    assert values["film"]["missing"].endswith("could not be written with it: [Errno 28] No space left on device")


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = _report(2)
    report.diagnosed(1.0, "camera", HealthLevel.ERROR, "gone")
    report.joint_peaks = _speeds().peaks()
    report.write(tmp_path)
    assert RunReport.read(tmp_path) == report


@pytest.mark.parametrize(
    "text", ["", "[]", '{"decisions": [1]}', '{"seconds": 3}', '{"instruction": "x", "events": [{}]}']
)
def test_what_is_no_record_of_a_run_is_refused_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json: is no record of a run"):
        RunReport.read(tmp_path)


@pytest.mark.process
@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_browser_shows_a_run_with_its_sentence_as_text(tmp_path: Path) -> None:
    report = _report(2)
    report.joint_peaks = _speeds().peaks()
    page = write_run_page(tmp_path, report, RunSights(clouds={0: _cloud(500)}, speeds=_speeds()))
    shown = browsed(page.as_uri(), tmp_path / "profile")
    body = shown.split("<main")[1].split("</main>")[0]
    assert "<title>broken" not in shown
    assert "<h1>&lt;/script&gt;&lt;img src=x onerror=" in body
    assert "<b>it</b>" not in body
    assert body.count('class="bar move"') == 2
    assert body.count('class="curve"') == 7
    assert '<tr class="executed">' in body
    assert "Decision 1, for keyframe 1" in body
    assert "No film" in body
