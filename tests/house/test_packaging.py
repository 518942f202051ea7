"""What the package says that it needs is what it imports, for rosdep and for pip."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from mini_diffuser_ros import __version__
from mini_diffuser_ros.bringup.executables import CLASSES

REPOSITORY = Path(__file__).parents[2]
MANIFESTS = ("package.xml", "interfaces/package.xml")
INTERFACES = re.compile(r"^\s*from (\w+)\.(?:msg|srv|action) import", re.MULTILINE)
LIBRARIES = re.compile(r"^\s*from (rclpy|launch|launch_ros|tf2_ros|ament_index_python)\b", re.MULTILINE)
FROM_ROSDEP = {"numpy", "pyyaml"}  # installed with rclpy and launch


def depends(kind: str) -> set[str]:
    """Packages in a kind of dependency of package.xml."""
    return {entry.text or "" for entry in ElementTree.parse(REPOSITORY / "package.xml").iter(kind)}


def imported(*folders: str) -> set[str]:
    """ROS packages that Python files import."""
    files = [file for folder in folders for file in (REPOSITORY / folder).rglob("*.py")]
    texts = [file.read_text(encoding="utf-8") for file in files]
    return {name for text in texts for pattern in (INTERFACES, LIBRARIES) for name in pattern.findall(text)}


def test_every_ros_package_that_is_imported_is_a_dependency() -> None:
    assert imported("mini_diffuser_ros", "launch") <= depends("exec_depend")


def test_pip_gets_the_same_list_from_both_files() -> None:
    wanted = re.search(r"install_requires=\[(.*?)\]", (REPOSITORY / "setup.py").read_text(), re.DOTALL)
    assert wanted is not None
    in_setup = set(re.findall(r'"(.+?)"', wanted[1]))
    lines = (REPOSITORY / "requirements.txt").read_text().splitlines()
    listed = {line for line in lines if line and not line.startswith("#")}
    assert {one for one in in_setup if re.split(r"\W", one)[0] not in FROM_ROSDEP} == listed


def test_an_executable_is_installed_for_every_node() -> None:
    nodes = {file.stem for file in (REPOSITORY / "mini_diffuser_ros" / "nodes").glob("*_node.py")}
    (names,) = re.findall(r"^EXECUTABLES = \((.*?)^\)", (REPOSITORY / "setup.py").read_text(), re.DOTALL | re.MULTILINE)
    assert set(re.findall(r'"(\w+)"', names)) == nodes | {"stack"}
    assert set(CLASSES) == nodes


def test_one_version_everywhere() -> None:
    texts = [(REPOSITORY / name).read_text() for name in ("interfaces/pyproject.toml", "pocketros/pyproject.toml")]
    versions = {re.findall(r'^version = "(.+)"', text, re.MULTILINE)[0] for text in texts}
    versions |= {ElementTree.parse(REPOSITORY / name).findtext("version") for name in MANIFESTS}
    assert versions == {__version__}
    newest = re.findall(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    assert newest == __version__


def test_both_packages_name_one_maintainer_and_licence() -> None:
    manifests = [ElementTree.parse(REPOSITORY / name) for name in MANIFESTS]
    assert (
        len({(m.findtext("maintainer"), m.find("maintainer").get("email"), m.findtext("license")) for m in manifests})
        == 1
    )


def test_the_stand_in_is_shipped_with_the_same_licence() -> None:
    assert (REPOSITORY / "LICENSE").read_text() == (REPOSITORY / "pocketros" / "LICENSE").read_text()
