"""Command-line arguments of verbs with simulated cameras; apart from others, as simulation takes time to import."""

from __future__ import annotations

import argparse

from mini_diffuser_ros.commands.arguments import number_of
from mini_diffuser_ros.simulation.sensor import PRESETS, sensor_of
from mini_diffuser_ros.support.settings import leaves


def add_sensor_arguments(parser: argparse.ArgumentParser) -> None:
    """``--sensor``, and an option for each of its fields."""
    group = parser.add_argument_group(
        "the cameras", "simulated cameras with errors of their own; options change single fields of what --sensor names"
    )
    group.add_argument("--sensor", help=f"{' or '.join(PRESETS)} (default: {next(iter(PRESETS))})")
    values = {leaf.name: leaf.default for leaf in leaves(PRESETS["d435"])}
    for leaf in leaves(PRESETS["perfect"]):
        text = f"{leaf.description.rstrip('.')} (d435: {values[leaf.name]:g})"
        group.add_argument(f"--sensor.{leaf.name}", type=number_of(leaf), metavar="X", help=text)


def sensor_of_arguments(values: argparse.Namespace) -> str | None:
    """The line that tells the sensor, None if neither it nor a field was given.

    Raises:
        SettingsError: no such sensor, or a value that it cannot have.
    """
    names = (leaf.name for leaf in leaves(PRESETS["perfect"]))
    given = {name: value for name in names if (value := getattr(values, f"sensor.{name}")) is not None}
    if values.sensor is None and not given:
        return None
    words = [values.sensor or "perfect", *(f"{name}={value!r}" for name, value in given.items())]
    return str(sensor_of(" ".join(words), "command line"))
