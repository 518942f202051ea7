"""Serving the page: files, the live view over a websocket, and commands as plain POST requests."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeoutError  # of Python 3.10 another one
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.http import HttpProcessingError

from mini_diffuser_ros.support.errors import UserError, one_line
from mini_diffuser_ros.viewing.live.access import AccessError, PageAccess
from mini_diffuser_ros.viewing.live.page_files import HEADERS, page_files
from mini_diffuser_ros.viewing.live.parts import NewestParts, PagePart, frame_of

STOP = "stop"
"""The command that never waits for another one."""
PORT = 8470
"""Where the page is looked for first."""
MOST_PAGES = 32
"""Pages that are open at once."""
STALLED = 10.0  # seconds after which a page that takes nothing is let go; it comes back by itself
PORTS_TRIED = 20  # the next ones, where one is taken
MOST_BYTES = 16_384  # of a command
MOST_CONNECTIONS = 128  # fewer than any system lets a process have open, or Stop would find no room
MOST_COMMANDS = 32  # under way at once, stops not counted
SENDING = 5.0  # seconds that a command's values may take to arrive
WORKERS = 4
LONGEST_STACK = 200  # characters of a stack's name that are repeated
STOP_OF_PAGE = re.compile(r"stop (\d{1,9})")  # over the websocket, which needs no connection of its own
STARTING = 10.0  # seconds
LOG = logging.getLogger("aiohttp.server.page")
LOG.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))
"""Of the server's own faults. A request that is none is answered so, and is no line: anybody may send such."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a command.

    Attributes:
        done: whether it was.
        said: a line about it.
        holds: whether a stop holds until Resume, though the arm may not be measured to rest.
    """

    done: bool
    said: str
    holds: bool = False


Command = Callable[[Mapping[str, Any]], Answer]
"""Obeys a command with its values; may wait, and raise a UserError."""


class PageServer:
    """Serves the page from a thread of its own.

    Each page gets the newest of what has changed, at most ``rate`` times a second, and nothing more before it has said
    that it took the last: a slow one gets less often what is new then, and nobody waits for it.

    Args:
        access: where it is bound to, and who may ask.
        port: to begin with; where it is taken the next ones are tried, then any. 0 for any.
        parts: what is shown.
        commands: by their names; that of STOP has threads of its own.
        rate: updates per second of a page.
        stack: whose page it is. What a page of another one asks for, which was at this address before, is refused.
    """

    def __init__(
        self,
        access: PageAccess,
        port: int,
        parts: NewestParts,
        commands: Mapping[str, Command],
        rate: float = 5.0,
        stack: str = "this stack",
    ) -> None:
        self._access, self._parts, self._commands, self._period = access, parts, commands, 1.0 / rate
        self._stack = stack
        self._loop = asyncio.new_event_loop()
        self._pages: set[web.WebSocketResponse] = set()
        self._at_work: Counter[asyncio.BaseProtocol] = Counter()  # connections whose request is being answered
        self._under_way = 0  # commands
        self._stop: asyncio.Future[Answer] | None = None  # the last; whoever asks meanwhile joins it
        self._asked_by_pages: set[asyncio.Future[None]] = set()  # stops
        self._stops = ThreadPoolExecutor(WORKERS, "stop of the page")
        self._works = ThreadPoolExecutor(WORKERS, "command of the page")
        self._closing = asyncio.Event()
        self._assets = page_files(stack)
        self._socket = _listening(access.address, port)
        self._runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=1.0, logger=LOG)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._begin(), self._loop).result(STARTING)

    @property
    def port(self) -> int:
        """That it listens on."""
        return int(self._socket.getsockname()[1])

    @property
    def address(self) -> str:
        """To open in a browser, with the token if there is one: behind #, it stays out of what servers log."""
        token = f"#token={self._access.token}" if self._access.token else ""
        if self._access.proxy:
            return f"{self._access.proxy}/{token}"
        name = self._access.address
        if name in ("0.0.0.0", "::"):
            name = socket.gethostname()
        shown = f"[{name}]" if ":" in name else name
        return f"http://{shown}:{self.port}/{token}"

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._pages)

    def close(self) -> None:
        """Let all pages go, and stop listening."""
        with suppress(FuturesTimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(STALLED)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=1.0)
        for threads in (self._stops, self._works):
            threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _begin(self) -> None:
        await self._runner.setup()
        self._listener = await self._loop.create_server(self._connection, sock=self._socket)

    def _connection(self) -> asyncio.BaseProtocol:
        """What serves a new connection. Where there are too many, the oldest that asks for nothing makes room."""
        server = self._runner.server
        assert server is not None  # after setup
        too_many = len(server.connections) + 1 - MOST_CONNECTIONS
        idle = [one for one in server.connections if one not in self._at_work]
        for one in idle[: max(0, too_many)]:
            one.force_close()
        return server()

    async def _end(self) -> None:
        self._closing.set()
        self._listener.close()
        for page in list(self._pages):
            with suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(page.close(), 0.5)
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MOST_BYTES, middlewares=[self._guarded])
        application.on_response_prepare.append(_add_headers)
        for path in self._assets:
            application.router.add_get(f"/{path}", self._on_asset)
        application.router.add_get("/live", self._on_live)
        for name in self._commands:
            application.router.add_post(f"/{name}", self._on_command)
        return application

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._access.refusal_of_sender(request.headers.get("Host", ""), request.headers.get("Origin"))
        # The page itself holds nothing to keep from anybody, and is what knows the token.
        if not refusal and request.path.lstrip("/") not in self._assets:
            bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
            refusal = self._access.refusal_of_token(request.query.get("token", bearer))
        if refusal:
            return web.Response(status=403, text=f"{refusal}\n")
        self._at_work[request.protocol] += 1
        try:
            return await handler(request)
        finally:
            self._at_work[request.protocol] -= 1
            self._at_work += Counter()  # drops those at zero

    async def _on_asset(self, request: web.Request) -> web.Response:
        content, kind = self._assets[request.path.lstrip("/")]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    async def _on_command(self, request: web.Request) -> web.Response:
        name = request.path.lstrip("/")
        if self._is_of_another(request):
            meant = request.query["stack"][:LONGEST_STACK]
            said = f"this was asked of {meant}, and here is {self._stack}: nothing was done; open the page anew"
            return web.json_response({"done": False, "said": said, "stack": self._stack}, status=409)
        if name == STOP:  # whatever comes with it
            return _said(await self._stopped())
        if self._under_way >= MOST_COMMANDS:
            return _refused(503, f"{MOST_COMMANDS} commands are under way already: wait for them")
        self._under_way += 1
        try:
            values = await _values_of(request)
            if values is None:
                return _refused(400, f"/{name} takes a JSON object")
            self._stop = None  # what this command may undo is joined by no press that comes after it
            return _said(await self._loop.run_in_executor(self._works, _obeyed, self._commands[name], values))
        finally:
            self._under_way -= 1

    def _is_of_another(self, request: web.Request) -> bool:
        """Whether a page asks that was opened for another stack. Who names none means whatever is here."""
        return request.query.get("stack", self._stack) != self._stack

    async def _stopped(self) -> Answer:
        """Stop, by one call for all that ask while it is under way: a press comes by a request and a websocket."""
        if self._stop is None or self._stop.done():
            self._stop = self._loop.run_in_executor(self._stops, _obeyed, self._commands[STOP], {})
        return await asyncio.shield(self._stop)  # who goes away takes it from nobody

    async def _on_live(self, request: web.Request) -> web.StreamResponse:
        if len(self._pages) >= MOST_PAGES:
            return web.Response(status=503, text=f"{MOST_PAGES} pages are open already: close one\n")
        page = web.WebSocketResponse(compress=False, max_msg_size=1024)
        await page.prepare(request)
        if self._is_of_another(request):
            told = PagePart(name="other stack", number=0, values={"name": self._stack}, content=b"")
            await page.send_bytes(frame_of([told]))
            await page.close()
            return page
        self._pages.add(page)
        taken = asyncio.Event()
        showing = asyncio.ensure_future(self._show(page, taken))
        try:
            async for message in page:
                if message.type != WSMsgType.TEXT:
                    continue
                found = STOP_OF_PAGE.fullmatch(message.data)
                if found and STOP in self._commands:
                    stop = asyncio.ensure_future(self._stop_for(page, int(found[1])))
                    self._asked_by_pages.add(stop)
                    stop.add_done_callback(self._asked_by_pages.discard)
                else:
                    taken.set()
        finally:
            self._pages.discard(page)
            showing.cancel()
        return page

    async def _stop_for(self, page: web.WebSocketResponse, number: int) -> None:
        """Stop, and answer a page by the number that it gave its stop."""
        answer = await self._stopped()
        with suppress(ConnectionError):
            await page.send_json({"number": number, **vars(answer)})

    async def _show(self, page: web.WebSocketResponse, taken: asyncio.Event) -> None:
        """Until the page is gone, or takes nothing for STALLED seconds, which closes it."""
        shown = 0
        with suppress(ConnectionError, asyncio.TimeoutError):
            while not self._closing.is_set():
                began = time.monotonic()
                parts = self._parts.newer_than(shown)
                if parts:
                    taken.clear()
                    await asyncio.wait_for(page.send_bytes(frame_of(parts)), STALLED)
                    shown = parts[-1].number
                    await asyncio.wait_for(taken.wait(), STALLED)
                await asyncio.sleep(max(0.0, began + self._period - time.monotonic()))
        with suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(page.close(), 1.0)


async def _values_of(request: web.Request) -> dict[str, Any] | None:
    """JSON object that comes with a command; None if there is none, or it does not arrive."""
    try:
        values = json.loads(await asyncio.wait_for(request.read(), SENDING))
    except (ValueError, RecursionError, asyncio.TimeoutError, web.RequestPayloadError):
        return None
    return values if isinstance(values, dict) else None


def _said(answer: Answer) -> web.Response:
    return web.json_response(vars(answer), status=200 if answer.done else 409)


def _refused(status: int, said: str) -> web.Response:
    return web.json_response({"done": False, "said": said}, status=status)


def _obeyed(command: Command, values: Mapping[str, Any]) -> Answer:
    try:
        return command(values)
    except UserError as error:
        return Answer(done=False, said=one_line(error))


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _listening(address: str, port: int) -> socket.socket:
    """A socket that listens on the port, where that is taken on one of the next ones, where all are on any.

    Raises:
        AccessError: the address is none of this machine's, or no port may be used.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    reason: OSError | None = None
    for tried in [*range(port, min(port + PORTS_TRIED, 65536)), 0] if port else [0]:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, tried))
            listener.listen()
        except OSError as error:
            listener.close()
            reason = error
            continue
        return listener
    raise AccessError(f"the page cannot listen on {address}: {one_line(reason or OSError())}")
