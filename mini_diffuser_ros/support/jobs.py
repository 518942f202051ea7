"""Work that has to wait for what callbacks deliver, and therefore cannot be done in one."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue


class JobQueue:
    """Does jobs one after another on a thread of its own.

    Args:
        on_failure: called with the traceback of a job that raised something; no job is done after it.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def put(self, job: Callable[[], object]) -> None:
        """Do this when the jobs before it are done."""
        self._jobs.put(job)

    def close(self, timeout: float) -> None:
        """Do what there is and no more; waits for it up to ``timeout`` seconds."""
        self._jobs.put(None)
        self._thread.join(timeout)

    def _work(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                job()
        except Exception:
            self._on_failure(traceback.format_exc())
