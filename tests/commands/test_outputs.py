"""A place that takes no output is named before the work begins whose results were to go there."""

import resource
import signal
from pathlib import Path

import pytest

from mini_diffuser_ros.commands.main import main
from mini_diffuser_ros.support.files import UnwritableError, expect_output, make_writable


@pytest.fixture(params=["a file in the way", "a name too long"])
def impossible(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "occupied").write_text("not a folder")
    return tmp_path / ("occupied/out" if "file" in request.param else "n" * 300)


VERBS = {
    "record": ["record", "--episodes", "1", "--out"],
    "import-official": ["import-official", "no_such.pt"],
    "import": ["import", "no_such"],
    "upgrade": ["upgrade", "no_such_policy"],
    "cell": ["cell", "check", "no_such.yaml", "--picture"],
    "calibrate board": ["calibrate", "board"],
    "calibrate intrinsics": ["calibrate", "intrinsics", "no_such_shots", "--out"],
    "calibrate hand-eye": ["calibrate", "hand-eye", "no_such_shots", "--parent", "base", "--file"],
    "calibrate arm": ["calibrate", "arm", "no_such_shots", "--file"],
    "calibrate table": ["calibrate", "table", "no_such_shots", "--file"],
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


def test_a_disk_without_room_is_found_out_before_the_work(tmp_path: Path) -> None:
    """More than a process may write is what a full disk says, too."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(UnwritableError, match=r"^--out .*: cannot be written into \(File too large\)"):
            make_writable(tmp_path / "runs", "--out")
        with pytest.raises(UnwritableError, match=r"^--file .*: cannot be written \(File too large\)"):
            expect_output(tmp_path / "cell.yaml", "--file")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert [place.name for place in tmp_path.rglob("*")] == ["runs"]


def test_what_is_there_stays_as_it_is_until_the_work_is_done(tmp_path: Path) -> None:
    file = tmp_path / "cell.yaml"
    file.write_text("mine")
    expect_output(file, "--file")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("cell.yaml", "mine")]
    with pytest.raises(UnwritableError, match="it is a directory"):
        expect_output(tmp_path, "--file")


def test_a_mistyped_checkpoint_is_not_made(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    assert main(["upgrade", str(tmp_path / "mistyped")]) == 2
    assert not (tmp_path / "mistyped").exists()
