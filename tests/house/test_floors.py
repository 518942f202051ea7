"""The floors of the house: an import never goes up, nor sideways between the three stages of a decision."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import mini_diffuser_ros

PACKAGE = Path(mini_diffuser_ros.__file__).parent
FLOORS = (
    {"geometry", "records", "sentences", "support", "robots", "cell"},
    {"perception", "sensing", "policy", "motion", "data"},
    {"running", "training", "simulation", "libero", "calibration", "doctor"},
    {"evaluation", "viewing"},
    {"nodes"},
    {"bench"},
    {"bringup", "commands", "__main__"},
)
STAGES = {"perception", "policy", "motion"}
ALLOWED = {("policy", "perception")}  # policy.fuse(views): a policy is served with the fusion it was trained with
ROS = {
    "rclpy",
    "tf2_ros",
    "launch",
    "launch_ros",
    "ament_index_python",
    "rcl_interfaces",
    "builtin_interfaces",
    "std_srvs",
}


def imports(file: Path) -> Iterator[str]:
    """Dotted names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            assert node.module is not None
            # ``from mini_diffuser_ros import geometry`` imports a room, too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)


def room_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if parts[0] == PACKAGE.name and len(parts) > 1 else None


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def uses() -> Iterator[tuple[str, str, str]]:
    """(file, its room, a room that it imports from)"""
    for file in modules():
        path = file.relative_to(PACKAGE)
        # An entry of a room, `python -m mini_diffuser_ros.<room>`, starts a verb: it stands where the verbs do.
        room = "__main__" if path.name == "__main__.py" else path.parts[0].removesuffix(".py")
        for name in imports(file):
            other = room_of(name)
            if room != "__init__" and other is not None and other != room:
                yield str(path), room, other


def test_every_room_has_a_floor() -> None:
    rooms = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in modules()} - {"__init__"}
    assert rooms <= set.union(*FLOORS)


def test_no_import_goes_up() -> None:
    assert [use for use in uses() if floor_of(use[2]) > floor_of(use[1])] == []


def test_perception_policy_and_motion_know_nothing_of_each_other() -> None:
    among = [use for use in uses() if {use[1], use[2]} <= STAGES]
    assert [use for use in among if (use[1], use[2]) not in ALLOWED] == []


def test_ros_is_imported_where_nodes_are_and_everywhere_there() -> None:
    def needs_ros(file: Path) -> bool:
        roots = {name.split(".")[0] for name in imports(file)}
        return any(root in ROS or root.endswith("_msgs") for root in roots)

    nodes = [file for file in modules(PACKAGE / "nodes") if file.name != "__init__.py"]
    assert [str(file) for file in nodes if not needs_ros(file)] == []
    below = [file for file in modules() if file.relative_to(PACKAGE).parts[0] not in ("nodes", "bench", "commands")]
    assert [str(file) for file in below if needs_ros(file)] == []


def test_only_commands_know_argparse() -> None:
    knowing = [file.relative_to(PACKAGE).parts[0] for file in modules() if "argparse" in imports(file)]
    assert set(knowing) == {"commands"}


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for file in modules():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(file.relative_to(PACKAGE)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_the_package_needs_no_stand_in_for_ros() -> None:
    assert [str(file) for file in modules() if any(name.split(".")[0] == "pocketros" for name in imports(file))] == []
