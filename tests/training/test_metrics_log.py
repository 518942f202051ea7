"""Metrics reach TensorBoard always, and Weights & Biases where it is installed."""

import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from tensorboardX.proto.event_pb2 import Event

from mini_diffuser_ros.training.metrics_log import MetricsLog


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """What the event files of a folder hold; a record is a length, its checksum, an event and the event's checksum."""
    found = []
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[12 + length + 4 :]
            found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
    return found


def test_scalars_of_nested_mappings_become_paths(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path, 0)
    log.write(1, {"total": 0.5, "validation": {"push": {"first": {"frames": 3}}}})
    log.close()
    assert scalars(tmp_path / "tensorboard") == [(1, "total", 0.5), (1, "validation/push/first/frames", 3.0)]


class Wandb(ModuleType):
    """A double of the calls that the log makes; it notes what it is told."""

    class Error(Exception):
        """As wandb."""

    def __init__(self, key: str | None) -> None:
        super().__init__("wandb")
        self.api = SimpleNamespace(api_key=key)
        self.told: list[Any] = []

    def init(self, **settings: Any) -> Any:
        if settings["project"] == "refused":
            raise self.Error("no\nentry")
        self.told.append(settings)
        return SimpleNamespace(
            log=lambda values, step: self.told.append((step, values)), finish=lambda: self.told.append("finished")
        )


@pytest.mark.parametrize(("key", "mode"), [(None, "offline"), ("k", None)])
def test_weights_and_biases_gets_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, mode: str | None
) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    wandb = Wandb(key)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    for step in (1, 2):
        log = MetricsLog(tmp_path, step - 1, "mine", {"seed": 3})
        log.write(step, {"total": 0.5})
        log.close()
    first, *told = wandb.told[:3]
    assert told == [(1, {"total": 0.5}), "finished"]
    assert (first["project"], first["config"], first["mode"]) == ("mine", {"seed": 3}, mode)
    # A run that goes on is the same run there.
    assert wandb.told[3]["id"] == first["id"]
    MetricsLog(tmp_path, 2, "refused").close()


def test_without_it_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    log = MetricsLog(tmp_path, 0, "mine")
    log.write(1, {"total": 0.5})
    log.close()
    assert scalars(tmp_path / "tensorboard") == [(1, "total", 0.5)]
