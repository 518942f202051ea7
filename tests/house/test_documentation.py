"""The documentation quotes what the code says, and links to what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md"), REPOSITORY / "pocketros" / "README.md"])


def test_quoted_messages_are_those_of_the_code() -> None:
    files = (REPOSITORY / "mini_diffuser_ros").rglob("*.py")
    # Messages run over several literals: f"one {value}, " f"two".
    code = re.sub(r'"\s*f?"', "", "\n".join(file.read_text(encoding="utf-8") for file in files))
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    assert len(quoted) > 10
    assert [message for message in quoted if message not in code] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_tests_that_pages_name_are_there() -> None:
    tests = (REPOSITORY / "tests").rglob("*.py")
    there = {name for test in tests for name in (test.stem, *re.findall(r"def (test_\w+)", test.read_text("utf-8")))}
    named = [
        name
        for page in (REPOSITORY / "docs").rglob("*.md")
        for name in re.findall(r"\btest_\w+", page.read_text("utf-8"))
    ]
    assert len(named) > 20
    assert [name for name in named if name not in there] == []


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) < 150


OF_OTHERS = {
    "realsense2_camera": ("rgb_camera.color_format", "temporal_filter"),
    "LeRobot": ("delete_episodes", "merge_datasets"),
    "ros2_control": ("decelerate_on_cancel", "interpolate_from_desired_state", "open_loop_control"),
    "franka_description": ("fr3_hand_tcp",),
    "franka_ros2": ("gravity_compensation_example_controller",),
    "ROS 2": ("robot_state_publisher",),
}
"""Names that pages say and that are not ours."""

CODE = (".py", ".yaml", ".msg", ".srv", ".action", ".xml", ".urdf")
FORMER = "first_format.py"  # names fields as they were called
SUFFIXES = (
    "csv",
    "html",
    "json",
    "jsonl",
    "launch",
    "mcap",
    "md",
    "mdb",
    "mp4",
    "png",
    "py",
    "sh",
    "txt",
    "xml",
    "yaml",
)


def test_fields_that_pages_name_are_there() -> None:
    """Dotted names end with a field of a dataclass or stand in the code as they are; plain ones stand somewhere."""
    folders = (
        REPOSITORY / name for name in ("mini_diffuser_ros", "launch", "config", "interfaces", "examples", "tests")
    )
    files = [file for folder in folders for file in folder.rglob("*.*") if file.suffix in CODE and file.name != FORMER]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    fields = set(re.findall(r"^    ([a-z_][a-z0-9_]*): ", code, re.MULTILINE))
    words = set(re.findall(r"\w+", code)) | {file.stem for file in files}
    others = {name for names in OF_OTHERS.values() for name in names}
    pages = [*PAGES, *(REPOSITORY / "docs" / "results").glob("*.md")]
    checked, unknown = 0, []
    for page in pages:
        if page.name == "CHANGELOG.md" or page.parent.name == "pocketros":  # what was, and what ROS 2 calls its own
            continue
        quoted = re.findall(r"`([^`\n]+)`", page.read_text(encoding="utf-8"))
        for name in (name for name in quoted if re.fullmatch(r"[a-z][a-z0-9_]*([._][a-z0-9_]+)+", name)):
            parts = name.split(".")
            if name in others or parts[-1] in SUFFIXES:
                continue
            checked += 1
            is_known = len(parts) == 1 or parts[0] == "mini_diffuser_ros" or parts[-1] in fields or name in code
            if not is_known or not words.issuperset(parts):
                unknown.append(f"{page.relative_to(REPOSITORY)}: {name}")
    assert checked > 200
    assert not unknown, "; ".join(unknown)
