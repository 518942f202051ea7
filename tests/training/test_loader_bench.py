"""``mini-diffuser bench loader`` counts the samples that training would get."""

import json

import pytest

from mini_diffuser_ros.commands.main import main


@pytest.mark.process
def test_samples_have_the_points_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--config", "small", "--points", "200", "--batch", "4", "--repeats", "2", "--json"]
    assert main(["bench", "loader", *words]) == 0
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["config"], row["batch"]) == ("small", 4)
    assert 150 < row["points"] <= 200
    assert row["samples_per_s"] == pytest.approx(1 / row["cpu_s"], rel=0.01)
