"""Where messages come from: a node's topics, or a bag that is read as if it were happening."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray

T = TypeVar("T")


class MessageSource(Protocol):
    """The part of a node that whoever only listens needs."""

    def create_subscription(
        self, msg_type: Any, topic: str, callback: Callable[..., Any], qos_profile: Any, *, callback_group: Any = None
    ) -> Any:
        """Have each message of a topic handed to ``callback``."""

    def get_clock(self) -> Any:
        """The clock that stamps are of; ``now()`` gives its time."""

    def get_logger(self) -> Any:
        """What takes ``info``, ``warning`` and ``error``."""


class Frames(Protocol):
    """Poses of frames at the time of a stamp; see :class:`FrameLookup`."""

    def parent_from_child(self, parent: str, child: str, stamp: Time) -> NDArray[np.float64]:
        """(4, 4) pose of the frame ``child`` in ``parent`` at ``stamp``."""


class Waiting(Protocol):
    """Waits for what messages bring; see :class:`CancellationToken`."""

    def wait_for(self, look: Callable[[], T | None], timeout: float) -> T:
        """The first value other than None or False that ``look`` returns within ``timeout`` seconds."""

    def notify(self) -> None:
        """Something has come."""


class Jobs(Protocol):
    """Does what has to wait for messages, one after another; see :class:`JobQueue`."""

    def put(self, job: Callable[[], object]) -> None:
        """Do this when the jobs before it are done."""
