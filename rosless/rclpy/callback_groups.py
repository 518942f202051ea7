"""Which callbacks may run at the same time."""

from __future__ import annotations

import threading
from typing import Any


class CallbackGroup:
    """Decides whether an entity's callback may start now."""

    def __init__(self) -> None:
        self.entities: set[Any] = set()

    def add_entity(self, entity: Any) -> None:
        self.entities.add(entity)

    def has_entity(self, entity: Any) -> bool:
        return entity in self.entities

    def can_execute(self, entity: Any) -> bool:
        raise NotImplementedError  # pragma: no cover - rclpy's abstract method

    def beginning_execution(self, entity: Any) -> bool:
        raise NotImplementedError  # pragma: no cover

    def ending_execution(self, entity: Any) -> None:
        raise NotImplementedError  # pragma: no cover


class ReentrantCallbackGroup(CallbackGroup):
    """All its callbacks may run at the same time."""

    def can_execute(self, entity: Any) -> bool:
        return True

    def beginning_execution(self, entity: Any) -> bool:
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing to release."""


class MutuallyExclusiveCallbackGroup(CallbackGroup):
    """One of its callbacks runs at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._active: Any = None
        self._lock = threading.Lock()

    def can_execute(self, entity: Any) -> bool:
        return self._active is None

    def beginning_execution(self, entity: Any) -> bool:
        with self._lock:
            if self._active is None:
                self._active = entity
                return True
        return False

    def ending_execution(self, entity: Any) -> None:
        with self._lock:
            if self._active is entity:
                self._active = None
