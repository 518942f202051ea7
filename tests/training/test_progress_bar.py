"""The bar of a training moves, whatever it begins with."""

import io
import re

from mini_diffuser_ros.training.progress_bar import TrainingBar


def test_the_bar_of_a_resumed_training_does_not_stand_still() -> None:
    shown = io.StringIO()
    bar = TrainingBar(scenes=32, shown=True, pause=0.0, stream=shown)
    for step in range(601, 641):
        bar.show(step, step / 1000, {"loss": 1.0})
    bar.close()
    steps = {int(number) for number in re.findall(r"step (\d+)", shown.getvalue())}
    assert steps >= set(range(610, 641))
