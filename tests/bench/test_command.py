"""The command as a process: what it prints, and what it refuses."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.commands.bench import BENCHMARKS
from mini_diffuser_ros.commands.main import main

TINY = ("--config", "small", "--points", "60", "--repeats", "1")
COMMON = {
    "config": str,
    "device": str,
    "threads": int,
    "dtype": str,
    "batch": int,
    "points": int,
    "repeats": int,
    "cpu_s": float,
    "wall_s": float,
    "peak_mb": float,
    "base_mb": float,
}


Run = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Rows that a benchmark prints with --json; each is measured in a process of its own."""

    def rows(*arguments: str) -> list[dict[str, Any]]:
        assert main(["bench", *arguments, "--json"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return rows


def _check(row: dict[str, Any], kinds: dict[str, type]) -> None:
    assert row.keys() == kinds.keys()
    for name, kind in kinds.items():
        assert type(row[name]) is kind, name
        if kind is float:
            assert math.isfinite(row[name]), name
            assert row[name] > 0, name
    assert row["peak_mb"] >= row["base_mb"]


STEP = COMMON | {
    "scheme": str,
    "level2": int,
    "scenes": int,
    "at_once": int,
    "forward_s": float,
    "backward_s": float,
    "optimizer_s": float,
}


@pytest.mark.process
def test_a_two_level_step_as_a_process() -> None:
    command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "bench", "step", *TINY]
    command += ["--batch", "2", "--level2", "3", "--dtype", "bfloat16", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    _check(row, STEP)
    assert (row["scheme"], row["batch"], row["level2"], row["scenes"]) == ("two-level", 2, 3, 2)
    assert (row["dtype"], row["config"], row["points"]) == ("bfloat16", "small", 60)


@pytest.mark.process
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "bench", "encode", *TINY, "--json"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.process
def test_a_one_level_step(run: Run) -> None:
    (row,) = run("step", *TINY, "--batch", "2", "--level2", "3", "--scheme", "one-level", "--at-once", "4")
    _check(row, STEP)
    assert (row["scheme"], row["batch"], row["level2"], row["scenes"], row["at_once"]) == ("one-level", 2, 3, 6, 4)


@pytest.mark.process
def test_decide(run: Run) -> None:
    (row,) = run("decide", *TINY, "--samples", "3", "--steps", "2")
    _check(row, COMMON | {"samples": int, "steps": int})
    assert (row["samples"], row["steps"], row["batch"]) == (3, 2, 1)


@pytest.mark.process
def test_encode(run: Run) -> None:
    (row,) = run("encode", *TINY, "--batch", "2")
    _check(row, COMMON)
    assert (row["batch"], row["points"], row["config"]) == (2, 60, "small")


@pytest.mark.process
def test_saving_compares_with_one_scene_an_action(run: Run) -> None:
    one, two = run("saving", *TINY, "--actions", "4", "--level2", "4")
    assert (one["scheme"], one["batch"], one["level2"]) == ("one-level", 4, 1)
    assert (two["scheme"], two["batch"], two["level2"]) == ("two-level", 1, 4)
    assert one["time_ratio"] == one["memory_ratio"] == 1
    assert two["time_ratio"] == pytest.approx(one["cpu_s"] / two["cpu_s"], rel=1e-3)
    assert two["memory_ratio"] > 0


def test_parity_is_within_its_bound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "parity", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == 5 + 4 + 2 * 2 * 10
    assert all(0 <= row["relative_error"] < 1e-4 for row in rows)
    assert {"features of level 0", "pooled text", "rotation logits"} < {row["quantity"] for row in rows}


def test_the_table_names_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "parity"]) == 0
    shared, header, first, *_ = capsys.readouterr().out.splitlines()
    assert shared == "config official, device cpu, threads 1"
    assert header.split() == ["quantity", "relative_error"]
    assert len(header) == len(first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("steps",), "unknown benchmark 'steps'; benchmarks: step, saving, decide, encode"),
        (("step", "--points", "0"), "--points: '0' is not a whole number of at least 1"),
        (("step", "--points", "1,x"), "--points: 'x' is not a whole number of at least 1"),
        (("step", "--level2", ""), "--level2: '' is not a whole number of at least 1"),
        (("step", "--batch", "-3"), "--batch: "),
        (("step", "--threads", "0"), "--threads: '0' is not"),
        (("step", "--repeats", "0"), "--repeats: '0' is not"),
        (("step", "--config", "huge"), "--config: invalid choice: 'huge'"),
        (("step", "--dtype", "float16"), "--dtype: invalid choice: 'float16'"),
        (("step", "--scheme", "three-level"), "--scheme: invalid choice: 'three-level'"),
        (("decide", "--device", "abacus"), "--device: device 'abacus' is unknown, expected cpu or cuda"),
        (("decide", "--device", "cuda:99"), "--device: device 'cuda:99' is not on this machine"),
        (("decide", "--seed", "-1"), "--seed: "),
        (("decide", "extra"), "unrecognized arguments: extra"),
        (("saving", "--actions", "10", "--level2", "4"), "--level2: 4 does not divide the 10 actions"),
        pytest.param(("decide", *TINY, "--steps", "101"), "steps is 101, expected 1 to 100", marks=pytest.mark.process),
    ],
)
def test_wrong_arguments_give_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert main(["bench", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("decide", "--pionts", "3"), "unrecognized arguments: --pionts 3; did you mean --points?"),
        (("ros-latency", "--count", "0"), "--count: '0' is not a whole number of at least 1"),
        (("ros-bad-goals", "--node", "motion_node,arm"), "--node: 'arm' is no node with goals"),
        (("ablations", "--data", "a"), "required: --held-out, --out"),
        (("page", "--seconds", "60"), "--seconds: '60' is not a number from 1 to 20"),
        (("page", "--count", "0"), "--count: '0' is not a whole number of at least 1"),
        (("page", "--points", "many"), "--points: 'many' is not a whole number of at least 0"),
        (("kill-recording", "steal", "--out", "a"), "'steal' is neither record nor convert"),
        (("kill-recording", "convert", "--out", "a"), "convert needs --source"),
        (("ros-latancy",), "did you mean 'ros-latency'?"),
    ],
)
def test_every_benchmark_refuses_in_the_same_manner(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    test_wrong_arguments_give_one_line(capsys, arguments, message)


@pytest.mark.process  # some import MuJoCo, which does
@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_has_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["bench", name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: mini-diffuser bench {name} ")
    assert "--json" in shown


def test_a_report_is_a_line_of_json_or_one_for_each_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run, total in (("one", 1.0), ("other", 0.5)):
        (tmp_path / run).mkdir()
        lines = [{"step": step, "total": total, "seconds": step} for step in (1, 2, 3)]
        (tmp_path / run / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    words = ["bench", "compare-losses", str(tmp_path / "one"), str(tmp_path / "other"), "--first", "2"]
    assert main([*words, "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row == {"steps": [1, 2], "numbers": 2, "equal": 0, "largest": 0.5}
    assert main(words) == 0
    assert dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())["largest"] == "0.5"


def test_help_lists_the_benchmarks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("step", "saving", "decide", "encode", "parity"))
