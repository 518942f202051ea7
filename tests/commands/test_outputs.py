"""A place that takes no output is named before the work begins whose results were to go there."""

from pathlib import Path

import pytest

from mini_diffuser_ros.commands.main import main


@pytest.fixture(params=["a file in the way", "a name too long"])
def impossible(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "occupied").write_text("not a folder")
    return tmp_path / ("occupied/out" if "file" in request.param else "n" * 300)


VERBS = {
    "record": ["record", "--episodes", "1", "--out"],
    "import-official": ["import-official", "no_such.pt"],
    "calibrate check": ["calibrate", "check", "no_such_shots", "--file", "no_such.yaml", "--out"],
}


@pytest.mark.process  # libraries of these verbs start one when they are imported
@pytest.mark.parametrize("verb", VERBS)
def test_an_impossible_place_is_refused_before_anything_is_read(
    verb: str, impossible: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*VERBS[verb], str(impossible)]) == 2
    said = capsys.readouterr().err
    assert str(impossible) in said
    assert "cannot" in said
    assert "no_such" not in said
    assert said.count("\n") == 1
