"""Substitutions, conditions, settings and handlers of launch that ordinary launch files use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from launch.actions import (
    AppendEnvironmentVariable,
    ExecuteProcess,
    GroupAction,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    TimerAction,
    UnregisterEventHandler,
    UnsetEnvironmentVariable,
    UnsetLaunchConfiguration,
)
from launch.conditions import LaunchConfigurationNotEquals
from launch.core import SubstitutionFailure
from launch.event_handlers import OnExecutionComplete, OnProcessExit, OnProcessIO
from launch.events import matches_action
from launch.events.process import ShutdownProcess, SignalProcess
from launch.substitutions import (
    AllSubstitution,
    AndSubstitution,
    AnonName,
    AnySubstitution,
    Command,
    EnvironmentVariable,
    EqualsSubstitution,
    FindExecutable,
    IfElseSubstitution,
    LaunchConfiguration,
    NotEqualsSubstitution,
    NotSubstitution,
    OrSubstitution,
    TextSubstitution,
    ThisLaunchFile,
)
from launch_ros.actions import (
    Node,
    PushROSNamespace,
    SetParameter,
    SetParametersFromFile,
    SetRemap,
    SetUseSimTime,
)
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackagePrefix

from launch import LaunchContext, LaunchDescription, LaunchService


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))


def run(*entities: Any) -> int:
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def call(function: Callable[[LaunchContext], Any]) -> OpaqueFunction:
    return OpaqueFunction(function=lambda context: function(context) and None)


SIDE = LaunchConfiguration("side")


@pytest.mark.parametrize(
    ("substitution", "expected"),
    [
        (EqualsSubstitution(SIDE, "left"), "true"),
        (EqualsSubstitution("1.0", 1), "true"),
        (EqualsSubstitution("True", "1"), "true"),
        (NotEqualsSubstitution(SIDE, "left"), "false"),
        (NotSubstitution("false"), "true"),
        (AndSubstitution("true", NotSubstitution("1")), "false"),
        (OrSubstitution("0", "true"), "true"),
        (AnySubstitution("0", "0", "1"), "true"),
        (AllSubstitution("1", "0", "1"), "false"),
        (IfElseSubstitution(EqualsSubstitution(SIDE, "left"), "west", "east"), "west"),
        (Command(["echo 'the ", SIDE, "'"]), "the left\n"),
        (Command("sh -c 'echo oops >&2; echo fine'", on_stderr="ignore"), "fine\n"),
        (Command("sh -c 'echo oops >&2'", on_stderr="capture"), "oops\n"),
    ],
)
def test_substitutions_have_values(substitution: Any, expected: str) -> None:
    context = LaunchContext()
    context.launch_configurations["side"] = "left"
    assert substitution.perform(context) == expected
    assert substitution.describe().startswith(type(substitution).__name__)


@pytest.mark.parametrize(
    ("substitution", "reason"),
    [
        (Command("sh -c 'echo oops >&2'"), "oops"),
        (Command("false"), "exit code 1"),
        (Command("no-such-program"), "cannot be run"),
        (Command("true", on_stderr="shout"), "shout"),
        (FindExecutable(name="no-such-program"), "no-such-program"),
        (EnvironmentVariable("NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (NotSubstitution("perhaps"), "perhaps"),
        (ThisLaunchFile(), "outside of a launch file"),
        (FindPackagePrefix("no_such_package"), "no_such_package"),
    ],
)
def test_substitutions_say_why_they_have_none(substitution: Any, reason: str) -> None:
    with pytest.raises(SubstitutionFailure, match=reason):
        substitution.perform(LaunchContext())


def test_names_and_programs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "lib" / "lab" / "go"
    for path in (program, tmp_path / "share" / "lab" / "package.xml"):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    context = LaunchContext()
    assert ExecutableInPackage("go", "lab").perform(context) == str(program)
    assert Path(FindExecutable(name="sh").perform(context)).name == "sh"
    assert "-" not in AnonName("my-node").perform(context)


def test_the_environment_is_set_appended_and_unset() -> None:
    seen: list[dict[str, str]] = []
    run(
        GroupAction(
            [
                SetEnvironmentVariable("ROSLESS_A", "1"),
                AppendEnvironmentVariable("ROSLESS_A", "2"),
                AppendEnvironmentVariable("ROSLESS_A", "0", prepend=True, separator="-"),
                SetEnvironmentVariable("ROSLESS_B", "1"),
                UnsetEnvironmentVariable("ROSLESS_B"),
                call(lambda context: seen.append(dict(context.environment))),
            ]
        ),
        call(lambda context: seen.append(dict(context.environment))),
    )
    assert seen[0]["ROSLESS_A"] == "0-1:2"
    assert "ROSLESS_B" not in seen[0]
    assert not {"ROSLESS_A", "ROSLESS_B"} & {*seen[1]}


def test_a_group_may_begin_with_nothing_but_its_own_settings() -> None:
    seen: list[dict[str, Any]] = []
    run(
        SetLaunchConfiguration("side", "left"),
        SetLaunchConfiguration("size", "1"),
        UnsetLaunchConfiguration("size"),
        GroupAction(
            [call(lambda context: seen.append(dict(context.launch_configurations)))],
            forwarding=False,
            launch_configurations={"arm": [SIDE, "_arm"]},
            condition=LaunchConfigurationNotEquals("side", "right"),
        ),
        call(lambda context: seen.append(dict(context.launch_configurations))),
    )
    assert seen == [{"arm": "left_arm"}, {"side": "left"}]


def shell(text: str, **options: Any) -> ExecuteProcess:
    return ExecuteProcess(cmd=["/bin/sh", "-c", text], **options)


def test_output_completion_and_exit_are_told_to_handlers() -> None:
    heard: list[Any] = []
    process = shell("echo out; echo err >&2; exit 3", additional_env={"X": "1"})
    timer = TimerAction(period=0.01, actions=[])
    never = OnProcessExit(target_action=process, on_exit=lambda event, context: heard.append("never"))
    run(
        RegisterEventHandler(never),
        UnregisterEventHandler(never),
        RegisterEventHandler(
            OnProcessIO(
                target_action=process,
                on_stdout=lambda event: heard.append(("out", event.text)),
                on_stderr=lambda event: heard.append(("err", event.text)),
            )
        ),
        RegisterEventHandler(
            OnExecutionComplete(target_action=timer, on_completion=[call(lambda _: heard.append("t"))])
        ),
        RegisterEventHandler(
            OnExecutionComplete(target_action=process, on_completion=lambda event, context: heard.append("done"))
        ),
        RegisterEventHandler(
            OnProcessExit(
                target_action=lambda action: action is process,
                on_exit=lambda event, context: heard.append((event.process_name[:2], event.returncode)),
            )
        ),
        process,
        timer,
    )
    assert {("out", b"out\n"), ("err", b"err\n"), ("sh", 3), "done", "t"} == set(heard)
    assert heard.index(("sh", 3)) < heard.index("done")


def test_processes_may_have_a_terminal_a_prefix_and_a_shell(capfd: pytest.CaptureFixture[str]) -> None:
    run(
        shell("test -t 1 && echo terminal", emulate_tty=True, output="screen"),
        shell("test -t 1 || echo pipe", output="screen"),
        ExecuteProcess(cmd=["word"], prefix="echo first", output="screen"),
        ExecuteProcess(cmd=["echo $((40 + 2))"], shell=True, output="screen"),
        SetLaunchConfiguration("launch-prefix", "echo before"),
        SetLaunchConfiguration("launch-prefix-filter", "fi"),
        ExecuteProcess(cmd=["find"], output="screen"),
        ExecuteProcess(cmd=["echo", "alone"], output="screen"),
    )
    out = capfd.readouterr().out
    for words in ("] terminal\n", "] pipe\n", "] first word\n", "] 42\n", "] before find\n", "] alone\n"):
        assert words in out


@pytest.mark.parametrize("event", [ShutdownProcess, SignalProcess])
def test_events_end_the_processes_they_are_meant_for(event: Any) -> None:
    ended: list[Any] = []
    meant, other = shell("exec sleep 60", name="meant", respawn=event is ShutdownProcess), shell("sleep 0.5; exit 7")
    options = {} if event is ShutdownProcess else {"signal_number": "SIGTERM"}
    code = run(
        meant,
        other,
        RegisterEventHandler(OnProcessExit(on_exit=lambda event, context: ended.append(event.returncode))),
        TimerAction(
            period=0.2,
            actions=[
                OpaqueFunction(
                    function=lambda context: context.emit_event_sync(
                        event(process_matcher=matches_action(meant), **options)
                    )
                )
            ],
        ),
    )
    assert (code, ended) == (0, [-2 if event is ShutdownProcess else -15, 7])


def test_a_process_is_run_again_as_often_as_allowed(tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    run(shell(f"echo x >> {lives}", respawn=True, respawn_delay=0.01, respawn_max_retries=2))
    assert lives.read_text() == "x\n" * 3


def test_settings_for_nodes_hold_to_the_end_of_the_group(tmp_path: Path) -> None:
    probe, file = tmp_path / "probe", tmp_path / "more.yaml"
    file.write_text("/**:\n  ros__parameters:\n    more: 1\n")
    script = "import json, sys\nfor index, word in enumerate(sys.argv):\n"
    script += "    print(open(sys.argv[index + 1]).read() if word == '--params-file' else word)\n"
    probe.write_text(f"#!{sys.executable} -S\n{script}")
    probe.chmod(0o755)
    heard: dict[str, list[str]] = {"inner": [], "outer": []}
    inner = Node(
        executable=str(probe), parameters=[{"own": ParameterValue(SIDE, value_type=str)}], remappings=[("a", "b")]
    )
    outer = Node(executable=str(probe), namespace="far")

    def listen(node: Node, name: str) -> RegisterEventHandler:
        def heard_line(event: Any) -> None:
            heard[name].append(event.text.decode().rstrip("\n"))

        return RegisterEventHandler(OnProcessIO(target_action=node, on_stdout=heard_line))

    run(
        SetLaunchConfiguration("side", "7"),
        listen(inner, "inner"),
        listen(outer, "outer"),
        GroupAction(
            [
                PushROSNamespace("lab"),
                PushROSNamespace("bench"),
                SetParameter("speed", 0.5),
                SetParametersFromFile(str(file)),
                SetUseSimTime(True),
                SetRemap("in", "out"),
                inner,
            ]
        ),
        outer,
    )
    words = heard["inner"]
    rules = [words[index + 1] for index, word in enumerate(words) if word == "-r"]
    assert rules == ["__ns:=/lab/bench", "in:=out", "a:=b"]
    text = "\n".join(line for line in words if ":" in line and ":=" not in line)
    values = {
        name: value
        for part in text.split("/**:\n")[1:]
        for name, value in yaml.safe_load(part)["ros__parameters"].items()
    }
    assert values == {"speed": 0.5, "more": 1, "use_sim_time": True, "own": "7"}
    assert heard["outer"][1:] == ["--ros-args", "-r", "__ns:=/far"]


def test_what_rosless_leaves_out_of_a_process_is_named() -> None:
    with pytest.raises(AttributeError, match="cached_output"):
        ExecuteProcess(cmd=["true"], cached_output=True)


def test_messages_of_a_launch_go_through_its_logger(capfd: pytest.CaptureFixture[str]) -> None:
    from launch.logging import get_logger

    run(LogInfo(msg=["side ", TextSubstitution(text="left")]), call(lambda _: get_logger("mine").warning("look")))
    out = capfd.readouterr().out
    assert "[INFO] [launch.user]: side left\n" in out
    assert "[WARNING] [launch.mine]: look\n" in out
