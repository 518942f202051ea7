"""Launch descriptions: in this process where that is enough, by `ros2 launch` where the command itself matters."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_prefix,
    get_package_share_directory,
)
from launch.actions import (
    AppendEnvironmentVariable,
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    GroupAction,
    IncludeLaunchDescription,
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
from launch.conditions import IfCondition, UnlessCondition
from launch.event_handlers import OnExecutionComplete, OnProcessExit, OnProcessIO, OnProcessStart, OnShutdown
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import (
    Command,
    EnvironmentVariable,
    FindExecutable,
    LaunchConfiguration,
    PathJoinSubstitution,
    PythonExpression,
    TextSubstitution,
)
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterFile, ParameterValue
from launch_ros.substitutions import FindPackageShare

from launch import LaunchContext, LaunchDescription, LaunchService

from .conftest import Program, Ros2, is_alive

pytestmark = pytest.mark.usefixtures("logs")


def run(*entities: Any, **options: Any) -> int:
    """Exit code of a launch."""
    service = LaunchService(noninteractive=True, **options)
    service.include_launch_description(LaunchDescription(entities))
    return service.run()


def note(notes: list[str], substitution: Any) -> OpaqueFunction:
    """An action which notes the text of a substitution."""

    def perform(context: LaunchContext) -> None:
        notes.append(context.perform_substitution(substitution))

    return OpaqueFunction(function=perform)


def text(words: str) -> TextSubstitution:
    return TextSubstitution(text=words)


def python(code: str, **options: Any) -> ExecuteProcess:
    return ExecuteProcess(cmd=[sys.executable, "-S", "-u", "-c", textwrap.dedent(code)], **options)


def sleeping() -> ExecuteProcess:
    return python("import time; time.sleep(600)")


def when_exited(process: ExecuteProcess, *actions: Any) -> RegisterEventHandler:
    return RegisterEventHandler(OnProcessExit(target_action=process, on_exit=list(actions)))


def test_substitutions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIDE", raising=False)
    notes: list[str] = []
    robot = LaunchConfiguration("robot")
    code = run(
        DeclareLaunchArgument("robot", default_value="sim", choices=["sim", "panda"], description="which arm"),
        SetEnvironmentVariable("SIDE", "left"),
        AppendEnvironmentVariable("SIDE", "right", separator="+"),
        note(notes, PathJoinSubstitution(["config", robot, text("arm.yaml")])),
        note(notes, EnvironmentVariable("SIDE")),
        UnsetEnvironmentVariable("SIDE"),
        note(notes, EnvironmentVariable("SIDE", default_value="none")),
        note(notes, PythonExpression(["len('", robot, "') + 1"])),
        note(notes, LaunchConfiguration("colour", default="red")),
        note(notes, Command([FindExecutable(name="echo"), " ", robot])),
    )
    assert code == 0
    assert [each.strip() for each in notes] == ["config/sim/arm.yaml", "left+right", "none", "4", "red", "sim"]


@pytest.mark.parametrize(("value", "expected"), [("true", "if"), ("1", "if"), ("False", "unless"), ("0", "unless")])
def test_conditions(value: str, expected: str) -> None:
    notes: list[str] = []
    wanted = LaunchConfiguration("wanted")
    run(
        SetLaunchConfiguration("wanted", value),
        GroupAction([note(notes, text("if"))], condition=IfCondition(wanted)),
        GroupAction([note(notes, text("unless"))], condition=UnlessCondition(wanted)),
    )
    assert notes == [expected]


def test_a_condition_that_is_no_truth_value_ends_the_launch() -> None:
    assert run(GroupAction([], condition=IfCondition("perhaps"))) == 1


def test_settings_in_a_group_end_with_it() -> None:
    notes: list[str] = []
    depth = LaunchConfiguration("depth", default="unset")
    run(
        SetLaunchConfiguration("depth", "outer"),
        GroupAction([SetLaunchConfiguration("depth", "inner"), note(notes, depth)]),
        note(notes, depth),
        GroupAction([note(notes, depth)], launch_configurations={"depth": "given"}),
        GroupAction([SetLaunchConfiguration("depth", "kept")], scoped=False),
        note(notes, depth),
        UnsetLaunchConfiguration("depth"),
        note(notes, depth),
    )
    assert notes == ["inner", "outer", "given", "kept", "unset"]


INNER = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, SetLaunchConfiguration
from launch.substitutions import LaunchConfiguration, ThisLaunchFileDir

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument("size", description="needed"),
        SetLaunchConfiguration("seen", LaunchConfiguration("size")),
        SetLaunchConfiguration("folder", ThisLaunchFileDir()),
    ])
"""


def test_included_files_receive_their_arguments(tmp_path: Path) -> None:
    file = tmp_path / "inner.launch.py"
    file.write_text(INNER)
    notes: list[str] = []
    source = PythonLaunchDescriptionSource(str(file))
    include = IncludeLaunchDescription(source, launch_arguments={"size": "7"}.items())
    code = run(include, note(notes, LaunchConfiguration("seen")), note(notes, LaunchConfiguration("folder")))
    assert code == 0
    assert notes == ["7", str(tmp_path)]
    assert run(IncludeLaunchDescription(PythonLaunchDescriptionSource(str(file)))) == 1


def test_a_file_that_is_not_there_ends_the_launch(tmp_path: Path) -> None:
    assert run(IncludeLaunchDescription(PythonLaunchDescriptionSource(str(tmp_path / "none.launch.py")))) == 1


def test_opaque_functions_return_what_to_do_next() -> None:
    notes: list[str] = []

    def decide(context: LaunchContext, word: str, again: str = "") -> list[Any]:
        chosen = LaunchConfiguration("robot").perform(context)
        return [note(notes, text(f"{word} {chosen} {again}"))]

    run(
        SetLaunchConfiguration("robot", "panda"),
        OpaqueFunction(function=decide, args=["start"], kwargs={"again": "now"}),
        note(notes, text("after")),
    )
    assert notes == ["start panda now", "after"]


def test_handlers_see_start_exit_and_shutdown() -> None:
    notes: list[Any] = []
    process = python("raise SystemExit(3)")

    def exited(context: LaunchContext) -> None:
        notes.append(context.locals.event.returncode)

    code = run(
        RegisterEventHandler(
            OnProcessStart(target_action=process, on_start=lambda event, context: notes.append("start"))
        ),
        when_exited(process, OpaqueFunction(function=exited), EmitEvent(event=Shutdown(reason="done"))),
        RegisterEventHandler(OnShutdown(on_shutdown=lambda event, context: notes.append(event.reason))),
        process,
        sleeping(),
    )
    assert code == 0
    assert notes == ["start", 3, "done"]


def test_handlers_see_what_processes_write() -> None:
    said: list[bytes] = []
    complained: list[bytes] = []
    process = python("import sys; print('out'); print('err', file=sys.stderr)")
    handler = OnProcessIO(
        target_action=process,
        on_stdout=lambda event: said.append(event.text),
        on_stderr=lambda event: complained.append(event.text),
    )
    assert run(RegisterEventHandler(handler), process) == 0
    assert b"".join(said).split() == [b"out"]
    assert b"".join(complained).split() == [b"err"]


def test_handlers_may_be_taken_away_and_follow_other_actions() -> None:
    notes: list[str] = []
    process = python("pass")
    gone = OnProcessExit(target_action=process, on_exit=[note(notes, text("gone"))])
    told = LogInfo(msg="told")
    run(
        RegisterEventHandler(gone),
        UnregisterEventHandler(gone),
        RegisterEventHandler(OnExecutionComplete(target_action=told, on_completion=[note(notes, text("completed"))])),
        told,
        process,
    )
    assert notes == ["completed"]


def test_timers_come_after_their_period() -> None:
    notes: list[str] = []
    later = TimerAction(period=0.05, actions=[note(notes, text("later"))])
    assert run(later, note(notes, text("now"))) == 0
    assert notes == ["now", "later"]


def test_processes_get_their_environment_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIDE", "right")
    code = "import os; open('seen', 'w').write(os.environ.get('SIDE', '') + os.environ.get('EXTRA', ''))"
    run(
        SetEnvironmentVariable("SIDE", "left"),
        python(code, cwd=str(tmp_path), additional_env={"EXTRA": "+more"}),
    )
    assert (tmp_path / "seen").read_text() == "left+more"


def test_a_process_respawns_until_the_launch_ends(tmp_path: Path) -> None:
    lives: list[int] = []

    def exited(event: Any, context: LaunchContext) -> Any:
        lives.append(event.pid)
        return EmitEvent(event=Shutdown(reason="enough")) if len(lives) == 3 else None

    process = python("raise SystemExit(1)", respawn=True, respawn_delay=0.01)
    run(RegisterEventHandler(OnProcessExit(target_action=process, on_exit=exited)), process)
    # One more life may begin before the end of the launch is heard of.
    assert len(set(lives)) == len(lives)
    assert len(lives) in (3, 4)


def test_nodes_receive_names_parameters_and_remappings(tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    probe.write_text(
        f"#!{sys.executable} -S\n"
        + textwrap.dedent(
            f"""
            import sys
            words = sys.argv[1:]
            files = [words[index + 1] for index, word in enumerate(words) if word == "--params-file"]
            words += [open(file).read() for file in files]
            open({str(tmp_path / "words")!r}, "w").write("\\n".join(words))
            """
        )
    )
    probe.chmod(0o755)
    file = tmp_path / "given.yaml"
    file.write_text("/**:\n  ros__parameters:\n    depth: 3\n")
    node = Node(
        executable=str(probe),
        name="arm",
        arguments=["plain"],
        remappings=[("in", "out")],
        ros_arguments=["--log-level", "debug"],
        parameters=[
            {"speed": ParameterValue(LaunchConfiguration("speed"), value_type=float), "arm": {"joints": [1, 2]}},
            {"code": ParameterValue("7", value_type=str), "flag": True},
            str(file),
            ParameterFile(str(file)),
        ],
    )
    run(
        SetLaunchConfiguration("speed", "2"),
        GroupAction([PushRosNamespace("lab"), node]),
    )
    notes = (tmp_path / "words").read_text().splitlines()
    assert notes[0] == "plain"
    said = " ".join(notes)
    expected = ("-r __node:=arm", "-r __ns:=/lab", "-r in:=out", "--log-level debug", "speed: 2.0", "depth: 3", "'7'")
    for words in (*expected, "flag: true"):
        assert words in said


def test_packages_are_found(package: Path) -> None:
    assert get_package_prefix("thing") == str(package)
    assert get_package_share_directory("thing") == str(package / "share" / "thing")
    notes: list[str] = []
    run(note(notes, PathJoinSubstitution([FindPackageShare("thing"), "launch"])))
    assert notes == [str(package / "share" / "thing" / "launch")]
    with pytest.raises(PackageNotFoundError, match="no_such_package"):
        get_package_share_directory("no_such_package")
    assert run(note(notes, FindPackageShare("no_such_package"))) == 1
    assert run(Node(package="thing", executable="no_such_executable")) == 1


LAUNCHER = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import ExecuteProcess, RegisterEventHandler
from launch.event_handlers import OnProcessExit

def fail(event, context):
    raise RuntimeError("the task failed")

def sleeping(seconds):
    return ExecuteProcess(cmd=[sys.executable, "-S", "-c", f"import time; time.sleep({seconds})"])

short = sleeping(0)
handler = RegisterEventHandler(OnProcessExit(target_action=short, on_exit=fail))
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([handler, short, sleeping(600)]))
print("ended", service.run())
"""


def test_an_exception_in_a_handler_ends_the_launch_with_1(script: Callable[..., Program]) -> None:
    launcher = script(LAUNCHER)
    assert launcher.await_line("ended 1"), launcher.said
    assert "Caught exception in launch" in launcher.said
    assert "the task failed" in launcher.said


def test_arguments_are_shown_and_checked(package: Path, ros2: Ros2) -> None:
    shown = ros2("launch", "thing", "hello.launch.py", "--show-args").stdout
    for words in ("'size':", "How big it is.", "(default: '1')", "'colour':", "Which colour it has"):
        assert words in shown
    wrong = ros2("launch", "thing", "hello.launch.py", "size:=3", "colour:=red")
    assert wrong.returncode == 1
    assert "size" in wrong.stdout + wrong.stderr
    assert "['1', '2']" in wrong.stdout + wrong.stderr
    missing = ros2("launch", "thing", "hello.launch.py")
    assert missing.returncode == 1
    assert "colour" in missing.stdout + missing.stderr


def test_a_package_is_launched_and_run(package: Path, ros2: Ros2) -> None:
    launched = ros2("launch", "thing", "hello.launch.py", "size:=2", "colour:=red")
    assert "[hello-1] hello 2 red" in launched.stdout
    assert "process has died" in launched.stdout + launched.stderr
    assert "exit code 5" in launched.stdout + launched.stderr
    started = ros2("run", "thing", "hello", "a", "b")
    assert started.stdout.startswith("hello a b\n")
    assert started.returncode == 5
    unknown = ros2("run", "thing", "goodbye")
    assert unknown.returncode != 0
    assert "executable" in unknown.stdout + unknown.stderr


STUBBORN = """
import sys
from launch import LaunchDescription
from launch.actions import ExecuteProcess

CODE = '''
import os, signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("stubborn", os.getpid(), flush=True)
time.sleep(600)
'''

def generate_launch_description():
    return LaunchDescription([
        ExecuteProcess(cmd=[sys.executable, "-S", "-c", CODE], output="screen", sigterm_timeout="1.0",
                       sigkill_timeout="0.5"),
    ])
"""


def test_ctrl_c_ends_processes_that_do_not_listen(tmp_path: Path, ros2: Ros2) -> None:
    file = tmp_path / "stubborn.launch.py"
    file.write_text(STUBBORN)
    program = ros2.begin("launch", str(file))
    line = program.await_line("stubborn ")
    assert line, program.said
    stubborn = int(line.split()[-1])
    try:
        program.end(signal.SIGINT)  # after SIGTERM, a genuine launch leaves its processes behind
        assert not is_alive(stubborn)
    finally:
        if is_alive(stubborn):
            os.kill(stubborn, signal.SIGKILL)
