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
