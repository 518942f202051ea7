"""The page of a stack as a process, and what it shows, asked for as a browser does that opens it now."""

from __future__ import annotations

import asyncio
import json
import os
import re
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from .conftest import DISCOVERY, Peer, Process


class Page(Process):
    """``mini-diffuser ui`` of a stack."""

    def __init__(self, log: Path, *options: str) -> None:
        self.name = "page"
        command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "ui", *options]
        self._launch(command, log, env={**os.environ})

    def address(self) -> str:
        """That it has printed; empty before."""
        found = re.search(r"the page: (\S+)", self.said())
        return found[1] if found else ""


@contextmanager
def page_of(peer: Peer, namespace: str, folder: Path) -> Iterator[Page]:
    """The page of a stack, once it has printed its address; ended in order."""
    made = Page(folder / "log", "--namespace", namespace, "--port", "0")
    try:
        peer.await_that(made.address)
        yield made
    finally:
        made.end()


def shown(address: str) -> tuple[int, dict[str, Any]]:
    """Bytes of what a page that is opened now gets until it knows the state, and its parts."""

    async def ask() -> tuple[int, dict[str, Any]]:
        size, parts = 0, {}
        async with ClientSession() as session, session.ws_connect(f"{address}live", max_msg_size=0) as live:
            while "state" not in parts:
                frame = await asyncio.wait_for(live.receive_bytes(), DISCOVERY)
                await live.send_str("taken")
                (length,) = struct.unpack("<I", frame[:4])
                size += len(frame)
                parts.update({entry["name"]: entry["values"] for entry in json.loads(frame[4 : 4 + length])})
        return size, parts

    return asyncio.run(ask())
