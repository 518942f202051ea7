"""A real browser without a window, driven by its DevTools protocol."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
WITHOUT = "no chromium on the PATH: apt-get install chromium"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--remote-debugging-port=0",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=900,700",
)
PATIENCE = 60.0  # seconds; a browser on a busy machine takes its time


class Tab:
    """A page in the browser."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: ClientWebSocketResponse) -> None:
        self._loop, self._socket, self._number = loop, socket, 0

    def do(self, method: str, **parameters: Any) -> Any:
        """Result of a command of the protocol."""
        return self._loop.run_until_complete(asyncio.wait_for(self._do(method, parameters), PATIENCE))

    def tell(self, expression: str) -> Any:
        """Value of an expression of JavaScript in the page."""
        result = self.do("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def await_that(self, expression: str, timeout: float = PATIENCE) -> Any:
        """The first truthy value of an expression."""
        deadline = time.monotonic() + timeout
        while not (value := self.tell(expression)):
            assert time.monotonic() < deadline, f"never {expression}; the page says: {self.text()[:2000]}"
            time.sleep(0.05)
        return value

    def text(self, selector: str = "body") -> str:
        """What stands in an element."""
        return str(self.tell(f"document.querySelector({selector!r}).innerText"))

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.do("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        """Press a key, wherever the focus is."""
        for kind in ("rawKeyDown", "keyUp"):
            self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    async def _do(self, method: str, parameters: dict[str, Any]) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            answer = await self._socket.receive_json()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]


@contextmanager
def browsing(address: str, profile: Path) -> Iterator[Tab]:
    """A tab of a browser of its own with a page, closed at the end.

    Args:
        address: of the page.
        profile: empty folder for what the browser keeps.
    """
    words = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (profile / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    loop = asyncio.new_event_loop()
    session: ClientSession | None = None
    try:
        port = _port_in(profile / "log")
        session, socket = loop.run_until_complete(asyncio.wait_for(_open(port, address), PATIENCE))
        tab = Tab(loop, socket)
        tab.await_that("location.protocol === 'http:' && document.readyState === 'complete'")
        yield tab
    finally:
        if session is not None:
            loop.run_until_complete(session.close())
        loop.close()
        process.terminate()
        process.wait(PATIENCE)


def _port_in(log: Path) -> int:
    """At which the browser listens, as it says when it does."""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(rb"DevTools listening on ws://127\.0\.0\.1:(\d+)/", log.read_bytes())):
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.05)
    return int(found[1])


async def _open(port: int, address: str) -> tuple[ClientSession, ClientWebSocketResponse]:
    session = ClientSession()
    async with session.put(f"http://127.0.0.1:{port}/json/new?{address}") as answer:
        target = await answer.json()
    return session, await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
