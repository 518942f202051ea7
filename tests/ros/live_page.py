"""What a page of a stack shows, asked for as a browser does that opens it now."""

from __future__ import annotations

import asyncio
import json
import struct
from typing import Any

from aiohttp import ClientSession

from .conftest import DISCOVERY


def shown(address: str) -> tuple[int, dict[str, Any]]:
    """Bytes of what a page that is opened now gets, and its parts."""

    async def ask() -> bytes:
        async with ClientSession() as session, session.ws_connect(f"{address}live", max_msg_size=0) as live:
            return await asyncio.wait_for(live.receive_bytes(), DISCOVERY)

    frame = asyncio.run(ask())
    (length,) = struct.unpack("<I", frame[:4])
    return len(frame), {entry["name"]: entry["values"] for entry in json.loads(frame[4 : 4 + length])}
