"""Launch descriptions: in this process where that is enough, by `ros2 launch` where the command itself matters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    SetLaunchConfiguration,
    TimerAction,
)
from launch.conditions import IfCondition, LaunchConfigurationEquals, UnlessCondition
from launch.event_handlers import OnProcessExit, OnProcessStart, OnShutdown
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    EnvironmentVariable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue

from launch import LaunchContext, LaunchDescription, LaunchService

from .conftest import PATIENCE

ENDS_WITHIN = 3.0


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))


def run(*entities: Any) -> int:
    """Exit code of a launch."""
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def note(notes: list[str], substitution: Any) -> OpaqueFunction:
    """An action which notes the text of a substitution."""

    def perform(context: LaunchContext) -> None:
        notes.append(context.perform_substitution(substitution))

    return OpaqueFunction(function=perform)


def python(code: str, **options: Any) -> ExecuteProcess:
    return ExecuteProcess(cmd=[sys.executable, "-S", "-c", textwrap.dedent(code)], **options)


def test_substitutions_and_conditions() -> None:
    notes: list[str] = []
    robot = LaunchConfiguration("robot")
    is_sim = PythonExpression(["'", robot, "' == 'sim'"])
    code = run(
        DeclareLaunchArgument("robot", default_value="sim", choices=["sim", "panda"], description="which arm"),
        SetEnvironmentVariable("SIDE", "left"),
        note(notes, PathJoinSubstitution(["config", robot, TextSubstitution(text="arm.yaml")])),
        note(notes, EnvironmentVariable("SIDE")),
        note(notes, EnvironmentVariable("NO_SUCH_SIDE", default_value="none")),
        GroupAction([note(notes, TextSubstitution(text="if"))], condition=IfCondition(is_sim)),
        GroupAction([note(notes, TextSubstitution(text="unless"))], condition=UnlessCondition(is_sim)),
        GroupAction([note(notes, robot)], condition=LaunchConfigurationEquals("robot", "sim")),
    )
    assert code == 0
    assert notes == ["config/sim/arm.yaml", "left", "none", "if", "sim"]


def test_settings_in_a_group_end_with_it() -> None:
    notes: list[str] = []
    depth = LaunchConfiguration("depth")
    run(
        SetLaunchConfiguration("depth", "outer"),
        GroupAction([SetLaunchConfiguration("depth", "inner"), note(notes, depth)]),
        note(notes, depth),
    )
    assert notes == ["inner", "outer"]


def test_included_files_receive_their_arguments(tmp_path: Path) -> None:
    file = tmp_path / "inner.launch.py"
    file.write_text(
        textwrap.dedent(
            """
            from launch import LaunchDescription
            from launch.actions import DeclareLaunchArgument, SetLaunchConfiguration
            from launch.substitutions import LaunchConfiguration

            def generate_launch_description():
                size = LaunchConfiguration("size")
                return LaunchDescription([
                    DeclareLaunchArgument("size", description="needed"), SetLaunchConfiguration("seen", size)])
            """
        )
    )
    notes: list[str] = []
    source = PythonLaunchDescriptionSource(str(file))
    include = IncludeLaunchDescription(source, launch_arguments={"size": "7"}.items())
    assert run(include, note(notes, LaunchConfiguration("seen"))) == 0
    assert notes == ["7"]
    assert run(IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)))) == 1


def test_handlers_see_start_exit_and_shutdown() -> None:
    notes: list[Any] = []
    process = python("raise SystemExit(3)")
    code = run(
        process,
        RegisterEventHandler(
            OnProcessStart(target_action=process, on_start=lambda event, context: notes.append("start"))
        ),
        RegisterEventHandler(
            OnProcessExit(
                target_action=process,
                on_exit=[
                    OpaqueFunction(function=lambda context: notes.append(context.locals.event.returncode)),
                    EmitEvent(event=Shutdown(reason="done")),
                ],
            )
        ),
        RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context: notes.append(event.reason))),
        python("import time; time.sleep(60)"),
    )
    assert code == 0
    assert notes == ["start", 3, "done"]


def test_timers_come_after_their_period() -> None:
    notes: list[str] = []
    later = TimerAction(period=0.05, actions=[note(notes, TextSubstitution(text="later"))])
    assert run(later, note(notes, TextSubstitution(text="now"))) == 0
    assert notes == ["now", "later"]


def test_an_exception_in_a_handler_ends_the_launch_with_1(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(event: Any, context: LaunchContext) -> None:
        raise RuntimeError("the task failed")

    process = python("pass")
    handler = RegisterEventHandler(OnProcessExit(target_action=process, on_exit=fail))
    assert run(process, handler, python("import time; time.sleep(60)")) == 1
    out = "".join(capfd.readouterr())
    assert "Caught exception in launch" in out
    assert "the task failed" in out


def test_a_process_respawns(tmp_path: Path) -> None:
    log = tmp_path / "lives"
    code = f"open({str(log)!r}, 'a').write('x')"
    run(
        python(code, respawn=True, respawn_delay=0.01),
        OpaqueFunction(
            function=lambda context: [TimerAction(period=1.5, actions=[EmitEvent(event=Shutdown(reason="enough"))])]
        ),
    )
    assert len(log.read_text()) > 1


def test_nodes_receive_names_parameters_and_remappings(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_text(
        f"#!{sys.executable} -S\nimport sys\nopen({str(tmp_path / 'words')!r}, 'w').write('\\n'.join(sys.argv))\n"
    )
    probe.chmod(0o755)
    notes: list[str] = []

    def read(event: Any, context: LaunchContext) -> None:
        words = (tmp_path / "words").read_text().splitlines()
        notes.extend(words[1:])
        files = [words[index + 1] for index, word in enumerate(words) if word == "--params-file"]
        notes.append("".join(Path(file).read_text() for file in files))

    node = Node(
        executable=str(probe),
        name="arm",
        arguments=["plain"],
        remappings=[("in", "out")],
        parameters=[
            {"speed": ParameterValue(LaunchConfiguration("speed"), value_type=float), "arm": {"joints": [1, 2]}}
        ],
    )
    run(
        SetLaunchConfiguration("speed", "2"),
        GroupAction([PushRosNamespace("lab"), node]),
        RegisterEventHandler(OnProcessExit(target_action=node, on_exit=read)),
    )
    assert notes[0] == "plain"
    text = " ".join(notes)
    for words in ("-r __node:=arm", "-r __ns:=/lab", "-r in:=out", "speed: 2.0"):
        assert words in text


LAUNCH_FILE = """
import sys
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration

STUBBORN = '''
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
print("children", child.pid, flush=True)
time.sleep(60)
'''

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("size", default_value="1", choices=["1", "2"], description="How big it is."),
        ExecuteProcess(cmd=[sys.executable, "-S", "-c", STUBBORN], output="screen", sigterm_timeout="1.0",
                       sigkill_timeout="0.5"),
    ])
"""


@pytest.fixture
def launch_file(tmp_path: Path) -> Path:
    file = tmp_path / "stubborn.launch.py"
    file.write_text(LAUNCH_FILE)
    return file


def test_arguments_are_shown_and_checked(launch_file: Path, ros2: Callable[..., Any]) -> None:
    shown = ros2("launch", str(launch_file), "--show-args").stdout
    assert "'size':" in shown
    assert "How big it is." in shown
    assert "(default: '1')" in shown
    refused = ros2("launch", str(launch_file), "size:=3")
    assert refused.returncode == 1
    assert "'3'" in refused.stdout + refused.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_process_behind(launch_file: Path, ros2: Callable[..., Any], number: int) -> None:
    program = Path(sys.executable).with_name("ros2")
    process = subprocess.Popen(
        [str(program) if program.exists() else "ros2", "launch", str(launch_file)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    line = next(line for line in process.stdout if "children" in line)
    grandchild = int(line.split()[-1])
    process.send_signal(number)
    began = time.monotonic()
    process.communicate(timeout=PATIENCE)
    assert time.monotonic() - began < ENDS_WITHIN * 4  # the bound on an idle machine is ENDS_WITHIN
    while is_alive(grandchild):
        assert time.monotonic() - began < PATIENCE
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
