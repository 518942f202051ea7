"""What every verb of ``mini-diffuser`` has in common."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import version
from keyword import iskeyword
from pathlib import Path

import pytest

from mini_diffuser_ros.commands.main import COMMANDS, MESSAGE_LIMIT, main


@pytest.mark.process  # record imports MuJoCo, which does
@pytest.mark.parametrize("verb", COMMANDS)
def test_each_verb_is_a_module_of_its_name_and_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = f"{verb}_" if iskeyword(verb) else verb.replace("-", "_")
    assert COMMANDS[verb][0] == f"mini_diffuser_ros.commands.{module}"
    with suppress(SystemExit):
        main([verb, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: mini-diffuser {verb}")


def test_help_shows_defaults_that_its_words_leave_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["info", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "sentences to show of each task (default: 5)" in text
    assert "episodes of each task to draw (default: 2)" in text


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mini-diffuser {version('mini_diffuser_ros')}\n"


def test_unknown_verb_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "unknown command 'trian', did you mean 'train'?" in capsys.readouterr().err


def test_negative_count_of_pictures_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["info", str(tmp_path), "--plot", str(tmp_path), "--plot-episodes", "-1"])
    assert left.value.code == 2
    assert "--plot-episodes" in capsys.readouterr().err


def test_wrong_checkpoint_is_refused_in_one_bounded_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch = pytest.importorskip("torch")
    file = tmp_path / "wrong.pt"
    torch.save({f"layer.{index}.weight": torch.zeros(1) for index in range(2000)}, file)
    assert main(["import-official", str(file), str(tmp_path / "policy")]) == 2
    text = capsys.readouterr().err
    assert text.startswith("mini-diffuser import-official: ")
    assert text.count("\n") == 1
    assert len(text) < MESSAGE_LIMIT + 60


@pytest.mark.parametrize(
    ("ending", "code", "line"),
    [
        ("SettingsError('out', 'is missing')", 2, "out is missing"),
        ("OSError(28, 'No space left on device')", 2, "[Errno 28] No space left on device"),
        ("DivergedError('loss is nan\\nat step 7')", 1, "loss is nan at step 7"),
        ("KeyboardInterrupt", 130, "interrupted"),
        ("KeyboardInterrupt('run it again to go on')", 130, "interrupted; run it again to go on"),
    ],
)
def test_what_ends_a_verb_is_one_line_and_its_exit_code(
    ending: str,
    code: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "ending_verb.py").write_text(
        "from mini_diffuser_ros.support.settings import SettingsError\n"
        "from mini_diffuser_ros.training.errors import DivergedError\n"
        f"def main(arguments):\n    raise {ending}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "ending_verb", raising=False)
    monkeypatch.setitem(COMMANDS, "end", ("ending_verb", "ends"))
    assert main(["end"]) == code
    assert capsys.readouterr().err == f"mini-diffuser end: {line}\n"


@pytest.mark.process
def test_ascii_terminal_shows_other_characters_escaped(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mini_diffuser_ros", "info", str(tmp_path / "käse")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith("mini-diffuser info: ")
    assert "k\\xe4se" in done.stderr
