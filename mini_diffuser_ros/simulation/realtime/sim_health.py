"""What sim_node says about itself on /diagnostics."""

from __future__ import annotations

import time

from mini_diffuser_ros.simulation.realtime.world_driver import WorldDriver
from mini_diffuser_ros.support.health import Health, HealthLevel, RecentValues

SLOW = 0.8  # of the wanted pace, below which the world does not keep up


class SimHealth:
    """Pace of the physics and duration of the pictures.

    Args:
        driver: of the world.
        pace: simulated seconds per second that are wanted.
    """

    def __init__(self, driver: WorldDriver, pace: float) -> None:
        self._driver = driver
        self._pace = pace
        self._looked = (time.monotonic(), driver.time())
        self._rendering = RecentValues()

    def rendered(self, seconds: float) -> None:
        """Count a picture of every camera, and how long they took together."""
        self._rendering.add(1e3 * seconds)

    def physics(self) -> Health:
        """Simulated seconds per second since the last look."""
        before, now = self._looked, (time.monotonic(), self._driver.time())
        self._looked = now
        pace = (now[1] - before[1]) / (now[0] - before[0]) if now[0] > before[0] else self._pace
        if pace < 0.0:
            return Health(HealthLevel.OK, "the table was laid anew")
        values = {"real-time factor": pace, "wanted": self._pace}
        if pace < SLOW * self._pace:
            return Health(
                HealthLevel.WARN, f"physics runs at {pace:.2f} of real time, wanted is {self._pace:.2f}", values
            )
        return Health(HealthLevel.OK, "keeps up", values)

    def cameras(self) -> Health:
        """How often and how fast the cameras are drawn."""
        values = {"rate (Hz)": self._rendering.rate(), **self._rendering.summary("all cameras", "ms")}
        return Health(HealthLevel.OK, "drawn", values)
