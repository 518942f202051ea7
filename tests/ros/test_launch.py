"""bringup.launch.py as a user starts it: arguments, one process or several, deaths, and no process left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from mini_diffuser_ros.data.bags.reader import bags_in, read_bag

from .conftest import DISCOVERY, Peer

LAUNCH_FILE = Path(__file__).parents[2] / "launch" / "bringup.launch.py"
ARGUMENTS = [
    "robot",
    "cell",
    "cameras",
    "camera_driver",
    "checkpoint",
    "allow_simulated_policy",
    "accept_unfamiliar",
    "profile",
    "speed",
    "device",
    "instruction",
    "exit_on_done",
    "confirm",
    "dry_run",
    "sensor",
    "seed",
    "runs",
    "record",
    "recordings",
    "bags",
    "viewer",
    "namespace",
    "composed",
    "respawn",
    "params",
]
EXAMPLE = Path(__file__).parents[2] / "config" / "cells" / "example.yaml"
RUN_ENDS = 300.0  # seconds; a busy machine renders slowly
BUILT = (
    "[policy_node]: ready for instructions",
    "[motion_node]: planning for",
    "[guard_node]: guarding",
    "[perception_node]: fusing",
    "[sim_node]: ",
)


def ros2(*words: str, **options: object) -> subprocess.Popen[bytes]:
    """A ros2 command in a session of its own, as a terminal gives it one."""
    program = shutil.which("ros2") or str(Path(sys.executable).with_name("ros2"))
    return subprocess.Popen([program, *words], start_new_session=True, **options)  # type: ignore[call-overload]


def launch(*arguments: str, within: float = DISCOVERY) -> tuple[int, str]:
    """Exit code and output of a launch that ends by itself."""
    process = ros2("launch", str(LAUNCH_FILE), *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        output, _ = process.communicate(timeout=within)
    finally:
        end_session(process.pid)
    return process.returncode, output.decode(errors="replace")


def is_alive(session: int) -> bool:
    """Whether any process of a session's group is left."""
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def end_session(session: int) -> None:
    """End whatever is left of a session's group."""
    if is_alive(session):
        os.killpg(session, signal.SIGKILL)


def await_that(condition: Callable[[], object], log: Path) -> None:
    """Wait until a condition holds; fails the test, with the log, after a while."""
    deadline = time.monotonic() + DISCOVERY
    while not condition():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


def pids(log: Path, executable: str) -> list[int]:
    """Processes of an executable that a launch has started so far."""
    found = re.findall(rf"\[{executable}-\d+\]: process started with pid \[(\d+)\]", log.read_text(errors="replace"))
    return [int(pid) for pid in found]


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Iterator[tuple[int, Path]]:
    """Session and log of a running stack whose nodes are started again when they die."""
    log = tmp_path_factory.mktemp("launch") / "launch.log"
    with log.open("wb") as output:
        words = ("launch", str(LAUNCH_FILE), f"checkpoint:={checkpoint}", "respawn:=true")
        process = ros2(*words, stdout=output, stderr=subprocess.STDOUT)
    await_that(lambda: all(words in log.read_text(errors="replace") for words in BUILT), log)
    yield process.pid, log
    end_session(process.pid)
    process.wait()


def test_say_tells_the_outcome(launched: tuple[int, Path]) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "mini_diffuser_ros.commands.main", "say", "  "],
        capture_output=True,
        text=True,
        timeout=DISCOVERY,
    )
    assert said.returncode == 1, said.stderr
    assert "REFUSED: the instruction is empty" in said.stdout


def test_a_node_that_died_is_started_again(launched: tuple[int, Path]) -> None:
    _, log = launched
    os.kill(pids(log, "perception_node")[0], signal.SIGKILL)
    await_that(lambda: log.read_text(errors="replace").count("[perception_node]: fusing") == 2, log)
    await_that(lambda: len(pids(log, "perception_node")) == 2, log)
    told = re.compile(r"perception_node-\d+ died with exit code -9; it is started again")
    await_that(lambda: told.search(log.read_text(errors="replace")), log)


def test_ctrl_c_leaves_no_process(launched: tuple[int, Path]) -> None:
    session, log = launched
    os.killpg(session, signal.SIGINT)

    def has_ended() -> bool:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(session, os.WNOHANG)  # the launch process is our child and has to be waited for
        return not is_alive(session)

    await_that(has_ended, log)
    nodes = [
        pid
        for name in ("perception_node", "policy_node", "motion_node", "guard_node", "sim_node")
        for pid in pids(log, name)
    ]
    assert len(nodes) == 6
    assert not any(Path(f"/proc/{pid}").exists() for pid in nodes)
    assert "Traceback" not in log.read_text(errors="replace")


def test_one_process_obeys_a_sentence_and_records_it(tmp_path: Path, checkpoint: Path) -> None:
    code, output = launch(
        "composed:=true",
        "namespace:=left",
        "record:=true",
        "viewer:=web",
        "instruction:=press the blue button",
        "exit_on_done:=true",
        f"checkpoint:={checkpoint}",
        f"runs:={tmp_path / 'runs'}",
        f"recordings:={tmp_path / 'recordings'}",
        within=RUN_ENDS,
    )
    assert output.count("process started with pid") == 3  # guard and page are each one of their own
    assert re.search(r"\[left\.page_node\]: the page: http://127\.0\.0\.1:\d+/", output)
    assert "[left.policy_node]: ready for instructions" in output
    assert "is not known and ignored" not in output
    report = json.loads(next((tmp_path / "runs").glob("*/run.json")).read_text())
    assert report["decisions"]
    assert code == (0 if report["success"] else 1), output[-3000:]
    assert re.search(r"'press the blue button': .* keyframes, .*report\.html$", output.rstrip().splitlines()[-1])
    assert len(list((tmp_path / "recordings").glob("*.zip"))) == (1 if report["success"] else 0), output[-3000:]


def test_two_launches_in_one_graph_touch_nothing_of_each_other(tmp_path: Path, checkpoint: Path, peer: Peer) -> None:
    arms, sentence = ("left", "right"), "press the blue button"
    logs = {arm: tmp_path / f"{arm}.log" for arm in arms}
    begun = {}
    for arm in arms:
        with logs[arm].open("wb") as output:
            words = (f"namespace:={arm}", "composed:=true", "viewer:=web", "record:=bag", "exit_on_done:=true")
            folders = (f"runs:={tmp_path / 'runs'}", f"bags:={tmp_path / 'bags'}", f"checkpoint:={checkpoint}")
            said = f"instruction:={sentence}"
            command = ("launch", str(LAUNCH_FILE), *words, *folders, said)
            begun[arm] = ros2(*command, stdout=output, stderr=subprocess.STDOUT)
    try:
        addresses = {}
        for arm, log in logs.items():
            told = rf"\[{arm}\.page_node\]: the page: (\S+)"
            await_that(lambda told=told, log=log: re.search(told, log.read_text(errors="replace")), log)
            addresses[arm] = re.search(told, log.read_text(errors="replace"))[1]
        assert addresses["left"] != addresses["right"]
        for arm, address in addresses.items():
            with urlopen(address) as page:
                assert f'data-stack="/{arm}, domain ' in page.read().decode()

        def spaces() -> set[str]:
            return {space.strip("/") for _, space in peer.node.get_node_names_and_namespaces()} - {""}

        peer.await_that(lambda: spaces() == set(arms))  # before either has done what it was told, and ends
        names = {name for name, _ in peer.node.get_topic_names_and_types() if peer.node.count_publishers(name)}
        below = tuple(f"/{arm}/" for arm in arms)
        assert {name for name in names if not name.startswith(below)} <= {
            "/diagnostics",
            "/rosout",
            "/parameter_events",
        }
        os.kill(pids(logs["right"], "page_node")[0], signal.SIGKILL)
        gone = "ended with exit code -9: no page, the stack goes on"
        await_that(lambda: gone in logs["right"].read_text(errors="replace"), logs["right"])
        for arm, log in logs.items():
            ready = f"[{arm}.policy_node]: ready for instructions"
            await_that(lambda ready=ready, log=log: ready in log.read_text(errors="replace"), log)
        for arm, process in begun.items():
            assert process.wait(RUN_ENDS) in (0, 1), logs[arm].read_text(errors="replace")[-3000:]
    finally:
        for process in begun.values():
            end_session(process.pid)
    reports = [json.loads(file.read_text()) for file in (tmp_path / "runs").glob("*/run.json")]
    assert [report["instruction"] for report in reports] == [sentence] * 2
    assert all(report["decisions"] for report in reports)
    for arm, log in logs.items():
        own = re.search(r"(\S+)/report\.html$", log.read_text(errors="replace").rstrip().splitlines()[-1])
        assert own, log.read_text(errors="replace")[-3000:]
        written = json.loads((tmp_path / "runs" / Path(own[1]).name / "run.json").read_text())
        assert written["namespace"] == arm
        assert begun[arm].returncode == (0 if written["success"] else 1)
        assert f"{'left' if arm == 'right' else 'right'}." not in log.read_text(errors="replace")
    spaces = [{one.channel.topic.split("/")[1] for one in read_bag(file)} for file in bags_in(tmp_path / "bags")]
    assert sorted(next(iter(each - {"diagnostics", "rosout"})) for each in spaces) == sorted(arms)
    assert all(len(each - {"diagnostics", "rosout"}) == 1 for each in spaces)


def test_every_argument_is_described() -> None:
    code, output = launch("--show-args")
    assert code == 0
    assert re.findall(r"^ +'(\w+)':$", output, re.MULTILINE) == ARGUMENTS
    assert "no description given" not in output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("robots:=sim",), "unknown launch argument 'robots'"),
        (("robot:=ur5",), "robot:=ur5 is not known; known are sim, fr3, panda"),
        ((f"cell:={EXAMPLE}", "robot:=panda"), "robot:=panda is not the cell's, which is fr3"),
        (("robot:=fr3",), "add allow_simulated_policy:=true"),
        (("namespace:=bad name",), "namespace:='bad name' cannot be a namespace of ROS"),
        (("exit_on_done:=true",), "needs an instruction"),
        (("checkpoint:=/nowhere",), "checkpoint '/nowhere' is no checkpoint directory"),
        (("cameras:=front,front",), "camera 'front' is named twice"),
    ],
)
def test_what_cannot_be_followed_is_named_in_one_line(arguments: tuple[str, ...], reason: str) -> None:
    code, output = launch(*arguments)
    assert code != 0
    assert any(reason in line for line in output.splitlines())
    assert "process started" not in output
    assert "Traceback" not in output


def test_a_dead_node_ends_the_launch_with_its_name(tmp_path: Path, checkpoint: Path) -> None:
    parameters = tmp_path / "parameters.yaml"
    parameters.write_text("/**/motion_node: {ros__parameters: {max_joint_age: 1000.0}}\n")
    code, output = launch(f"checkpoint:={checkpoint}", f"params:={parameters}")
    assert code == 1
    assert "max_joint_age" in output
    assert re.search(r"motion_node-\d+ ended with exit code 1; it is required", output)
