"""The statistics that LeRobot normalises by: of each episode, and exactly of all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

Statistics = dict[str, dict[str, Any]]


class StatisticsOfAll:
    """Gathers what is added, an episode after another."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[NDArray[np.float64]]] = {}
        self._histograms: dict[str, NDArray[np.int64]] = {}
        self._images: dict[str, int] = {}

    def add(
        self, numbers: Mapping[str, NDArray[np.float64]], histograms: Mapping[str, NDArray[np.int64]]
    ) -> Statistics:
        """Add an episode.

        Args:
            numbers: feature to (T, ...) its values in T frames.
            histograms: feature to (3, 256) how often each value occurs in a colour of its T images.

        Returns:
            the statistics of this episode alone.
        """
        frames = len(next(iter(numbers.values())))
        for name, values in numbers.items():
            self._numbers.setdefault(name, []).append(values)
        for name, histogram in histograms.items():
            self._histograms[name] = self._histograms.get(name, np.zeros((3, 256), np.int64)) + histogram
            self._images[name] = self._images.get(name, 0) + frames
        return {
            **{name: of_numbers(values) for name, values in numbers.items()},
            **{name: of_histograms(histogram, frames) for name, histogram in histograms.items()},
        }

    def all(self) -> Statistics:
        """The statistics of all episodes."""
        return {
            **{name: of_numbers(np.concatenate(values)) for name, values in self._numbers.items()},
            **{name: of_histograms(histogram, self._images[name]) for name, histogram in self._histograms.items()},
        }


def of_numbers(values: NDArray[np.float64]) -> dict[str, Any]:
    """Statistics over the frames of values (T, ...), each of the shape of one frame's value."""
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    return {
        "min": values.min(axis=0).tolist(),
        "max": values.max(axis=0).tolist(),
        "mean": values.mean(axis=0).tolist(),
        "std": values.std(axis=0).tolist(),
        "count": [len(values)],
        **{name: quantile.tolist() for name, quantile in zip(QUANTILES, quantiles, strict=True)},
    }


def histogram_of(color: NDArray[np.uint8]) -> NDArray[np.int64]:
    """(3, 256) how often each value occurs in each colour of an image (H, W, 3)."""
    return np.stack([np.bincount(color[..., channel].ravel(), minlength=256) for channel in range(3)])


def of_histograms(histogram: NDArray[np.int64], images: int) -> dict[str, Any]:
    """Statistics of colours from 0 to 1, each (3, 1, 1), over all pixels of some images."""
    values = np.arange(256) / 255.0
    share = histogram / histogram.sum(axis=1, keepdims=True)
    mean = share @ values
    std = np.sqrt(np.maximum(share @ values**2 - mean**2, 0.0))
    cumulated = share.cumsum(axis=1)
    there = histogram > 0
    found = {
        "min": values[there.argmax(axis=1)],
        "max": values[255 - there[:, ::-1].argmax(axis=1)],
        "mean": mean,
        "std": std,
        **{name: values[(cumulated >= share_below).argmax(axis=1)] for name, share_below in QUANTILES.items()},
    }
    return {**{name: value.reshape(3, 1, 1).tolist() for name, value in found.items()}, "count": [images]}
