"""Which tasks, layouts and sentences an evaluation in RLBench has, whatever the distribution and the demonstrations."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mini_diffuser_ros.evaluation import EvaluationError
from mini_diffuser_ros.evaluation.rlbench import PERACT_TASKS, RlbenchProtocol, RlbenchTrial, rlbench_trials
from mini_diffuser_ros.evaluation.rlbench_install import find_tasks
from mini_diffuser_ros.evaluation.rlbench_layouts import stored_layouts
from mini_diffuser_ros.support.settings import SettingsError

from . import rlbench_double as double
from .rlbench_demos import write_layout

TASK = ("touch_ball",)


def trials(**settings: Any) -> list[RlbenchTrial]:
    return rlbench_trials("policy", RlbenchProtocol(**{"tasks": TASK, **settings}))


def test_a_stored_state_goes_to_other_processes_and_lays_out_as_it_did(tmp_path: Path) -> None:
    random = np.random.RandomState(3)
    random.normal()  # half of a pair is kept, too
    write_layout(tmp_path / "touch_ball/variation2/episodes/episode0", random.get_state())
    (layout,) = stored_layouts(tmp_path, TASK)
    assert type(layout.state) is tuple
    there = pickle.loads(pickle.dumps(layout))  # which cannot import a class of the package's reader of pickles
    assert b"mini_diffuser_ros.data" not in pickle.dumps(layout)
    again = np.random.RandomState()
    again.set_state(there.state)
    assert (there.variation, again.normal()) == (2, random.normal())


def test_raw_and_peracts_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    for variation, episode in ((10, 0), (2, 11), (2, 9)):
        write_layout(tmp_path / f"raw/touch_ball/variation{variation}/episodes/episode{episode}", variation=variation)
    for episode, variation in ((10, 4), (2, 59)):
        write_layout(
            tmp_path / f"peract/touch_ball/all_variations/episodes/episode{episode}", variation=variation, attempts=7
        )
    assert [layout.variation for layout in stored_layouts(tmp_path / "raw", TASK)] == [2, 2, 10]
    peract = stored_layouts(tmp_path / "peract", TASK)
    assert [(layout.variation, layout.attempts) for layout in peract] == [(59, 7), (4, 7)]


@pytest.mark.parametrize("folder", ["touch_ball", "touch_ball_peract"])
def test_demonstrations_may_lie_under_the_name_of_the_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    double.install(monkeypatch, distribution="G", tasks=("touch_ball", "touch_ball_peract"))
    write_layout(tmp_path / folder / "variation1/episodes/episode0")
    ((trial),) = trials(demonstrations=str(tmp_path))
    assert (trial.file, trial.layout.variation) == ("touch_ball_peract", 1)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({"state": ("MT19937", "x", 1)}, "random_seed"),
        ({"state": None}, "random_seed"),
        ({"state": ()}, "random_seed"),
        ({"state": ("MT19937", np.zeros(3, np.uint32), 1)}, "random_seed"),
        ({"state": ("MT19937", np.zeros(624, np.uint32), 10**30)}, "random_seed"),
        ({"state": ("MT19937", np.zeros(624, np.uint32), 625)}, "random_seed is at word 625 of its 624"),
        ({"attempts": -1}, "num_reset_attempts is -1"),
        ({"attempts": 10**9}, "num_reset_attempts is 1000000000"),
        ({"variation": "3"}, "variation_number.pkl"),
        ({"variation": -3}, "variation_number.pkl"),
    ],
)
def test_a_damaged_layout_is_named(tmp_path: Path, written: dict[str, Any], named: str) -> None:
    write_layout(tmp_path / "touch_ball/all_variations/episodes/episode0", **written)
    with pytest.raises(EvaluationError, match=named):
        stored_layouts(tmp_path, TASK)


def test_without_demonstrations_a_line_names_both_layouts(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"touch_ball: holds no variation.*all_variations"):
        stored_layouts(tmp_path, TASK)


def test_the_variant_of_the_published_results_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [name for task in PERACT_TASKS for name in (task, f"{task}_peract")]
    for tasks, expected in ((both, [f"{task}_peract" for task in PERACT_TASKS]), (PERACT_TASKS, [*PERACT_TASKS])):
        double.install(monkeypatch, tasks=tuple(tasks))
        assert [*find_tasks(PERACT_TASKS).values()] == expected
    assert find_tasks(("close_jar",)) == {"close_jar": "close_jar"}


def test_all_tasks_are_looked_up_before_the_first_episode(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {"place_wine_at_rack_location", "slide_block_to_color_target", "sweep_to_dustpan_of_size"}
    behaviour = double.install(monkeypatch, tasks=tuple(set(PERACT_TASKS) - lacking))
    with pytest.raises(EvaluationError) as caught:
        trials(tasks=PERACT_TASKS)
    for named in (*lacking, "MohitShridhar/RLBench@peract", "rjgpinel/RLBench", "_peract"):
        assert named in str(caught.value)
    assert behaviour.calls == []
    assert len(str(caught.value)) < 600, "the command shows it whole"


@pytest.mark.parametrize(
    "name", ["touch_ball_", "touch__ball", "touch_ball.py", "tasks.touch_ball", "__init__", "../x"]
)
def test_what_no_file_of_a_task_is_called_is_no_task(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    double.install(monkeypatch, tasks=("touch_ball", "touch_ball_peract"))
    with pytest.raises(EvaluationError, match=f"unknown task '{name}'"):
        trials(tasks=(name,))


def test_two_names_of_one_task_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    named = ("touch_ball", "touch_ball_peract")
    double.install(monkeypatch, tasks=named)
    with pytest.raises(EvaluationError, match="are both rlbench's touch_ball_peract; name it once"):
        trials(tasks=named)


def test_variations_are_spread_and_those_of_one_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    double.install(monkeypatch)
    planned = trials(episodes=25)
    assert [trial.laid_out(60).variation for trial in planned] == [number * 60 // 25 for number in range(25)]
    assert [trial.laid_out(2).variation for trial in planned] == [0] * 13 + [1] * 12
    assert [trial.laid_out(2).state for trial in planned] == list(range(25))


def test_sentences_come_from_one_source_and_are_there_before_the_first_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sentences.json"
    write_layout(tmp_path / "touch_ball/variation1/episodes/episode0")

    def told(table: dict[str, list[str]]) -> str:
        file.write_text(json.dumps(table))
        from mini_diffuser_ros.evaluation import rlbench

        rlbench._table.cache_clear()
        (trial,) = trials(demonstrations=str(tmp_path), sentences=str(file))
        return trial.sentence(1, ("RLBench's own",))

    double.install(monkeypatch, tasks=("touch_ball",))
    assert told({"touch_ball_peract+1": ["a", "b"], "touch_ball+1": ["c"]}) == "a"
    assert told({"touch_ball+1": ["c"]}) == "c"
    with pytest.raises(EvaluationError, match=r"no sentences for touch_ball\+1"):
        told({"touch_ball+0": ["c"]})
    with pytest.raises(EvaluationError, match=r"touch_ball\+1 has no sentence"):
        told({"touch_ball+1": []})
    with pytest.raises(EvaluationError, match="expected an object"):
        told(["touch_ball"])  # type: ignore[arg-type]
    double.install(monkeypatch, tasks=("touch_ball", "touch_ball_peract"))
    # The plain name is another task there, and its sentences are about other things.
    with pytest.raises(EvaluationError, match="no sentences for touch_ball_peract"):
        told({"touch_ball+1": ["c"]})


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tasks": ("touch_ball", "")}, "tasks has '' as a name"),
        ({"tasks": ("a", "b", "a")}, "tasks has 'a' twice"),
        ({"cameras": ("front", "front")}, "cameras has 'front' twice"),
    ],
)
def test_names_that_are_empty_or_doubled_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        RlbenchProtocol(**settings)


def test_what_the_published_protocol_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EvaluationError) as caught:
        RlbenchProtocol(mini_diffuser=True, image_size=128, cameras=("front",))
    for named in ("--demonstrations", "--sentences", "--image-size 256", "--cameras left_shoulder,"):
        assert named in str(caught.value)
    with pytest.raises(EvaluationError, match="there are no demonstrations"):
        RlbenchProtocol(episodes=0)
    file = tmp_path / "sentences.json"
    file.write_text(json.dumps({"touch_ball_peract+0": ["a"], "touch_ball_peract+1": ["b"]}))
    for episode in range(30):
        write_layout(tmp_path / f"touch_ball_peract/variation{episode % 2}/episodes/episode{episode}")
    given = {"demonstrations": str(tmp_path), "sentences": str(file), "mini_diffuser": True, "episodes": 0}
    double.install(monkeypatch)
    with pytest.raises(EvaluationError, match=r"needs the tasks of rjgpinel/RLBench"):
        trials(**given)
    double.install(monkeypatch, distribution="G", tasks=("touch_ball", "touch_ball_peract"))
    assert len(trials(**given)) == 30
