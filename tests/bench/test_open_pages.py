"""Pages that are open without a browser: those that take updates get the next ones, also beside one that takes none."""

from __future__ import annotations

import time

from mini_diffuser_ros.bench.open_pages import open_pages
from mini_diffuser_ros.viewing.live.access import page_access
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.server import PageServer

PATIENCE = 20.0  # seconds for what has to come


def test_each_page_that_takes_updates_gets_the_next_beside_one_that_stalls() -> None:
    parts = NewestParts()
    server = PageServer(page_access("127.0.0.1"), 0, parts, {}, rate=30.0)
    try:
        with open_pages(server.address, 2, stalled=1) as updates:
            until = time.monotonic() + PATIENCE
            number = 0
            while min(map(len, updates)) < 3 or server.pages < 3:
                assert time.monotonic() < until, f"{[len(sizes) for sizes in updates]} updates of {server.pages} pages"
                parts.put("count", {"number": (number := number + 1)})
                time.sleep(0.01)
        while server.pages:
            assert time.monotonic() < until, "a page stays open"
            time.sleep(0.01)
    finally:
        server.close()
