"""Substitutions, conditions, settings and handlers of launch that ordinary launch files use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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
from launch.core import SubstitutionFailure
from launch.event_handlers import OnExecutionComplete, OnProcessExit, OnProcessIO
from launch.substitutions import (
    Command,
    EnvironmentVariable,
    FindExecutable,
    LaunchConfiguration,
    TextSubstitution,
    ThisLaunchFile,
)
from launch_ros.actions import (
    Node,
    PushROSNamespace,
)
from launch_ros.substitutions import FindPackagePrefix

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


@pytest.mark.process
@pytest.mark.parametrize(
    ("substitution", "expected"),
    [
        (Command(["echo 'the ", SIDE, "'"]), "the left\n"),
    ],
)
def test_substitutions_have_values(substitution: Any, expected: str) -> None:
    context = LaunchContext()
    context.launch_configurations["side"] = "left"
    assert substitution.perform(context) == expected
    assert substitution.describe().startswith(type(substitution).__name__)


@pytest.mark.process
@pytest.mark.parametrize(
    ("substitution", "reason"),
    [
        (Command("sh -c 'echo oops >&2'"), "oops"),
        (Command("false"), "exit code 1"),
        (Command("no-such-program"), "cannot be run"),
        (FindExecutable(name="no-such-program"), "no-such-program"),
        (EnvironmentVariable("NO_SUCH_VARIABLE"), "NO_SUCH_VARIABLE"),
        (ThisLaunchFile(), "outside of a launch file"),
        (FindPackagePrefix("no_such_package"), "no_such_package"),
    ],
)
def test_substitutions_say_why_they_have_none(substitution: Any, reason: str) -> None:
    with pytest.raises(SubstitutionFailure, match=reason):
        substitution.perform(LaunchContext())


def test_the_environment_is_set_appended_and_unset() -> None:
    seen: list[dict[str, str]] = []
    run(
        GroupAction(
            [
                SetEnvironmentVariable("POCKETROS_A", "1"),
                AppendEnvironmentVariable("POCKETROS_A", "2"),
                AppendEnvironmentVariable("POCKETROS_A", "0", prepend=True, separator="-"),
                SetEnvironmentVariable("POCKETROS_B", "1"),
                UnsetEnvironmentVariable("POCKETROS_B"),
                call(lambda context: seen.append(dict(context.environment))),
            ]
        ),
        call(lambda context: seen.append(dict(context.environment))),
    )
    assert seen[0]["POCKETROS_A"] == "0-1:2"
    assert "POCKETROS_B" not in seen[0]
    assert not {"POCKETROS_A", "POCKETROS_B"} & {*seen[1]}


def test_settings_of_a_group_are_set_and_unset() -> None:
    seen: list[dict[str, Any]] = []
    run(
        SetLaunchConfiguration("side", "left"),
        SetLaunchConfiguration("size", "1"),
        UnsetLaunchConfiguration("size"),
        GroupAction(
            [call(lambda context: seen.append(dict(context.launch_configurations)))],
            launch_configurations={"arm": [SIDE, "_arm"]},
        ),
        call(lambda context: seen.append(dict(context.launch_configurations))),
    )
    assert seen == [{"arm": "left_arm", "side": "left"}, {"side": "left"}]


def shell(text: str, **options: Any) -> ExecuteProcess:
    return ExecuteProcess(cmd=["/bin/sh", "-c", text], **options)


@pytest.mark.process
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


@pytest.mark.process
def test_processes_may_have_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    run(
        shell("test -t 1 && echo terminal", emulate_tty=True, output="screen"),
        shell("test -t 1 || echo pipe", output="screen"),
    )
    out = capfd.readouterr().out
    assert "] terminal\n" in out
    assert "] pipe\n" in out


@pytest.mark.process
def test_namespaces_hold_to_the_end_of_the_group() -> None:
    heard: dict[str, bytes] = {}
    nodes = {name: Node(executable="/bin/echo", namespace=name) for name in ("inner", "/whole", "outer")}

    def listen(name: str, node: Node) -> RegisterEventHandler:
        def heard_line(event: Any) -> None:
            heard[name] = event.text

        return RegisterEventHandler(OnProcessIO(target_action=node, on_stdout=heard_line))

    run(
        *(listen(*one) for one in nodes.items()),
        GroupAction([PushROSNamespace("lab"), PushROSNamespace("bench"), nodes["inner"], nodes["/whole"]]),
        nodes["outer"],
    )
    spaces = {name: text.split(b"__ns:=")[1] for name, text in heard.items()}
    assert spaces == {"inner": b"/lab/bench/inner\n", "/whole": b"/whole\n", "outer": b"/outer\n"}


def test_what_pocketros_leaves_out_of_a_process_is_named() -> None:
    with pytest.raises(TypeError, match="cached_output"):
        ExecuteProcess(cmd=["true"], cached_output=True)


def test_messages_of_a_launch_go_through_its_logger(capfd: pytest.CaptureFixture[str]) -> None:
    run(LogInfo(msg=["side ", TextSubstitution(text="left")]))
    assert "[INFO] [launch.user]: side left\n" in capfd.readouterr().out


@pytest.mark.process
def test_what_cannot_be_started_is_not_tried_again(capfd: pytest.CaptureFixture[str]) -> None:
    ended: list[int] = []
    process = ExecuteProcess(
        cmd=["/no/such/program"], respawn=True, on_exit=lambda event, context: ended.append(event.returncode)
    )
    assert run(process) == 0
    assert ended == [1]
    assert capfd.readouterr().out.count("/no/such/program") >= 1
