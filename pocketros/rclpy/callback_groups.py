"""Which callbacks may run at the same time."""

from __future__ import annotations

import threading
import weakref
from typing import Any


class CallbackGroup:
    """Decides whether an entity's callback may start now; this one lets all of them."""

    def __init__(self) -> None:
        self.entities: weakref.WeakSet[Any] = weakref.WeakSet()

    def add_entity(self, entity: Any) -> None:
        self.entities.add(entity)

    def has_entity(self, entity: Any) -> bool:
        return entity in self.entities

    def can_execute(self, entity: Any) -> bool:
        return True

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing to release."""


class ReentrantCallbackGroup(CallbackGroup):
    """All its callbacks may run at the same time."""


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """One of its callbacks runs at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._free = threading.Lock()

    def can_execute(self, entity: Any) -> bool:
        return not self._free.locked()

    def beginning_execution(self, entity: Any) -> bool:
        return self._free.acquire(blocking=False)

    def ending_execution(self, entity: Any) -> None:
        self._free.release()
