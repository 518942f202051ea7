"""Pages of a stack as browsers open them, without a browser: clients of the live view."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from aiohttp import ClientSession, TCPConnector, WSMsgType

from mini_diffuser_ros.viewing.live.server import STALLED

Updates = Sequence[Sequence[int]]
"""Of each page that takes them: bytes of the updates so far."""


@contextmanager
def open_pages(address: str, taking: int, stalled: int = 0) -> Iterator[Updates]:
    """Pages while entered.

    Args:
        address: of the page, with / at its end.
        taking: pages that take what they get.
        stalled: pages that take nothing, and come back when they are let go.
    """
    updates: list[list[int]] = [[] for _ in range(taking)]
    loop = asyncio.new_event_loop()
    task = loop.create_task(_open(f"{address}live", updates, stalled))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    thread = threading.Thread(target=run, name="open pages", daemon=True)
    thread.start()
    try:
        yield updates
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def _open(address: str, updates: Sequence[list[int]], stalled: int) -> None:
    async with ClientSession(connector=TCPConnector(limit=0)) as session:
        taking = [_take(session, address, sizes) for sizes in updates]
        await asyncio.gather(*taking, *(_stall(session, address) for _ in range(stalled)))


async def _take(session: ClientSession, address: str, sizes: list[int]) -> None:
    async with session.ws_connect(address, max_msg_size=0) as page:
        async for message in page:
            if message.type == WSMsgType.BINARY:
                sizes.append(len(message.data))
                await page.send_str("taken")


async def _stall(session: ClientSession, address: str) -> None:
    while True:
        async with session.ws_connect(address, max_msg_size=0):
            await asyncio.sleep(STALLED + 1.0)
