"""The page's server: pages that come and go, that stall, that are none of ours; commands."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from html.parser import HTMLParser
from typing import Any

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, web
from yarl import URL

from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.viewing.live.access import LEAST_TOKEN, page_access
from mini_diffuser_ros.viewing.live.page_files import ASSETS
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.server import MOST_COMMANDS, MOST_CONNECTIONS, MOST_PAGES, Answer, PageServer

RATE = 30.0
TOKEN = "0123456789abcdef"
PATIENCE = 20.0  # seconds for what has to come; a busy machine takes its time


class Stack:
    """Commands that are written down."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.held = threading.Event()

    def commands(self) -> dict[str, Callable[[Mapping[str, Any]], Answer]]:
        return {"stop": self._take("stop"), "say": self._take("say"), "wait": self._wait, "fail": self._fail}

    def _take(self, name: str) -> Callable[[Mapping[str, Any]], Answer]:
        def take(values: Mapping[str, Any]) -> Answer:
            self.heard.append((name, dict(values)))
            return Answer(done=True, said=f"{name} done")

        return take

    def _wait(self, _: Mapping[str, Any]) -> Answer:
        self.held.wait(PATIENCE)
        return Answer(done=True, said="")

    def _fail(self, _: Mapping[str, Any]) -> Answer:
        raise UserError("nobody serves it")


@pytest.fixture
def stack() -> Stack:
    return Stack()


@pytest.fixture
def parts() -> NewestParts:
    return NewestParts()


@pytest.fixture
def server(stack: Stack, parts: NewestParts) -> Iterator[PageServer]:
    made = PageServer(page_access("127.0.0.1"), 0, parts, stack.commands(), RATE)
    yield made
    stack.held.set()
    made.close()


def run(work: Callable[[ClientSession], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with ClientSession() as session:
            await asyncio.wait_for(work(session), 2.0 * PATIENCE)

    asyncio.run(within())


def read(frame: bytes) -> dict[str, tuple[Any, bytes]]:
    (length,) = struct.unpack("<I", frame[:4])
    found, at = {}, 4 + length
    for entry in json.loads(frame[4:at]):
        found[entry["name"]] = (entry["values"], frame[at : at + entry["size"]])
        at += entry["size"]
    assert at == len(frame)
    return found


async def next_of(page: ClientWebSocketResponse) -> dict[str, tuple[Any, bytes]]:
    message = await asyncio.wait_for(page.receive(), PATIENCE)
    assert message.type == WSMsgType.BINARY
    await page.send_str("taken")
    return read(message.data)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_a_page_gets_all_and_then_what_changes(server: PageServer, parts: NewestParts) -> None:
    parts.put("state", {"phase": "moving"})
    parts.put("cloud", {"count": 1}, b"123456789")

    async def work(session: ClientSession) -> None:
        async with session.ws_connect(f"{server.address}live") as page:
            assert await next_of(page) == {"state": ({"phase": "moving"}, b""), "cloud": ({"count": 1}, b"123456789")}
            parts.put("cloud", {"count": 1}, b"123456789")  # nothing new
            parts.put("state", {"phase": "held"})
            assert await next_of(page) == {"state": ({"phase": "held"}, b"")}

    run(work)


def test_what_was_dropped_is_shown_to_no_page_that_comes_later(server: PageServer, parts: NewestParts) -> None:
    for name in ("cloud", "arm", "state"):
        parts.put(name, {"number": 0})
    parts.drop("cloud", "arm", "nothing")

    async def work(session: ClientSession) -> None:
        async with session.ws_connect(f"{server.address}live") as page:
            assert await next_of(page) == {"state": ({"number": 0}, b"")}
            parts.put("arm", {"number": 0})  # the same as before, and new
            assert await next_of(page) == {"arm": ({"number": 0}, b"")}

    run(work)


def test_ten_pages_are_all_served_and_gone_when_they_are_closed(server: PageServer, parts: NewestParts) -> None:
    parts.put("state", {"number": 0})

    async def work(session: ClientSession) -> None:
        pages = [await session.ws_connect(f"{server.address}live") for _ in range(10)]
        for page in pages:
            assert (await next_of(page))["state"][0] == {"number": 0}
        assert server.pages == 10
        parts.put("state", {"number": 1})
        for page in pages:
            assert (await next_of(page))["state"][0] == {"number": 1}
        for page in pages:
            await page.close()
        await until(lambda: server.pages == 0)

    run(work)


def test_more_pages_than_there_is_room_for_are_refused(server: PageServer) -> None:
    async def work(session: ClientSession) -> None:
        pages = [await session.ws_connect(f"{server.address}live") for _ in range(MOST_PAGES)]
        await until(lambda: server.pages == MOST_PAGES)
        async with session.get(f"{server.address}live") as answer:
            assert answer.status == 503
            assert "close one" in await answer.text()
        assert len(pages) == MOST_PAGES

    run(work)


def test_a_page_that_stalls_gets_the_newest_later_and_the_others_go_on(
    server: PageServer, stack: Stack, parts: NewestParts
) -> None:
    size = 4_000_000  # more than any buffer on the way holds

    async def work(session: ClientSession) -> None:
        stalled = await session.ws_connect(f"{server.address}live", max_msg_size=0)
        live = await session.ws_connect(f"{server.address}live", max_msg_size=0)
        for number in range(8):
            parts.put("cloud", {"number": number}, bytes(size))
            while (await next_of(live))["cloud"][0]["number"] < number:
                continue
        async with session.post(f"{server.address}stop") as answer:
            assert (await answer.json())["done"]
        assert stack.heard == [("stop", {})]
        first = (await next_of(stalled))["cloud"][0]["number"]
        then = (await next_of(stalled))["cloud"][0]["number"]
        assert first < 7  # what it had been sent
        assert then == 7  # nothing of what was between waits for it

    run(work)


def test_a_stop_needs_no_other_command_to_end_and_takes_anything_for_a_body(server: PageServer, stack: Stack) -> None:
    async def work(session: ClientSession) -> None:
        waiting = [asyncio.ensure_future(session.post(f"{server.address}wait", json={})) for _ in range(20)]
        await asyncio.sleep(0)
        for body in (b"", b"stop!", b"[1]", b'{"percent": 3}'):
            async with session.post(f"{server.address}stop", data=body) as answer:
                assert await answer.json() == {"done": True, "said": "stop done", "holds": False}
        assert stack.heard == [("stop", {})] * 4
        stack.held.set()
        for each in await asyncio.gather(*waiting):
            each.release()

    run(work)


def test_commands_get_their_values_and_say_why_they_fail(server: PageServer, stack: Stack) -> None:
    async def work(session: ClientSession) -> None:
        async with session.post(f"{server.address}say", json={"sentence": "<b>press</b>"}) as answer:
            assert (answer.status, (await answer.json())["said"]) == (200, "say done")
        assert stack.heard == [("say", {"sentence": "<b>press</b>"})]
        async with session.post(f"{server.address}fail", json={}) as answer:
            assert (answer.status, (await answer.json())["said"]) == (409, "nobody serves it")
        for body in (b"", b"{", b"[]", b"\xff", b"NaN", b"[" * 8000):
            async with session.post(f"{server.address}say", data=body) as answer:
                assert answer.status == 400
        async with session.post(f"{server.address}say", data=bytes(100_000)) as answer:
            assert answer.status == 413
        async with session.get(f"{server.address}stop") as answer:
            assert answer.status == 405
        async with session.get(f"{server.address}../setup.py") as answer:
            assert answer.status == 404

    run(work)


def test_many_connections_that_ask_for_nothing_leave_room_for_a_stop_and_for_pages(
    server: PageServer, stack: Stack, parts: NewestParts
) -> None:
    parts.put("state", {"number": 0})
    half = b"POST /stop HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le"

    async def work(session: ClientSession) -> None:
        async with session.ws_connect(f"{server.address}live") as page:
            await next_of(page)
            with ExitStack() as opened:
                first = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                for _ in range(2 * MOST_CONNECTIONS):
                    one = opened.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                    one.sendall(half)
                    await asyncio.sleep(0)
                async with session.post(f"{server.address}stop") as answer:
                    assert (await answer.json())["done"]
                first.settimeout(PATIENCE)
                assert await asyncio.to_thread(first.recv, 1) == b""  # the oldest made room
                parts.put("state", {"number": 1})
                assert (await next_of(page))["state"][0] == {"number": 1}
        assert stack.heard == [("stop", {})]

    run(work)


class Tags(HTMLParser):
    """Attributes of a page's tags by their ids, or names where they have none."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, dict[str, str | None]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.found[values.get("id") or tag] = values


NAMES = ["/left, domain 0 on robots", "domain 0 on lab-pc", "<b>\"'& ?=#\u00fc"]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_knows_from_the_begin_whose_it_is_and_what_it_asks_for_is_obeyed_there_alone(
    stack: Stack, parts: NewestParts, name: str
) -> None:
    parts.put("state", {"number": 3})
    server = PageServer(page_access("127.0.0.1"), 0, parts, stack.commands(), RATE, name)

    async def work(session: ClientSession) -> None:
        async with session.get(server.address) as answer:
            tags = Tags()
            tags.feed(await answer.text())
        assert tags.found["html"]["data-stack"] == name
        form = URL(f"{server.address}{tags.found['stop']['action']}", encoded=True)
        async with session.post(form) as answer:  # as without scripts
            assert (await answer.json())["done"]
        async with session.post(f"{server.address}say", params={"stack": name}, json={}) as answer:
            assert answer.status == 200
        async with session.ws_connect(URL(f"{server.address}live").with_query(stack=name)) as live:
            assert await next_of(live) == {"state": ({"number": 3}, b"")}
        assert [one for one, _ in stack.heard] == ["stop", "say"]
        for other in (*(each for each in NAMES if each != name), ""):
            for command in ("stop", "say"):
                async with session.post(f"{server.address}{command}", params={"stack": other}, json={}) as answer:
                    told = await answer.json()
                assert (answer.status, told["done"], told["stack"]) == (409, False, name)
                assert f"asked of {other}, and here is {name}" in told["said"]
            async with session.ws_connect(URL(f"{server.address}live").with_query(stack=other)) as live:
                assert read((await live.receive()).data) == {"other stack": ({"name": name}, b"")}
                assert (await live.receive()).type == WSMsgType.CLOSE
        assert len(stack.heard) == 2

    try:
        run(work)
    finally:
        server.close()


def test_a_stop_comes_over_the_websocket_as_well_while_commands_wait(server: PageServer, stack: Stack) -> None:
    async def work(session: ClientSession) -> None:
        waiting = [asyncio.ensure_future(session.post(f"{server.address}wait", json={})) for _ in range(20)]
        async with session.ws_connect(f"{server.address}live") as page:
            for number in (7, 8):
                await page.send_str(f"stop {number}")
                told = json.loads((await asyncio.wait_for(page.receive(), PATIENCE)).data)
                assert told == {"number": number, "done": True, "said": "stop done", "holds": False}
            for word in ("stop", "stop x", "stop 1 2", "stopped 3"):
                await page.send_str(word)
        assert stack.heard == [("stop", {})] * 2
        stack.held.set()
        for each in await asyncio.gather(*waiting):
            each.release()

    run(work)


def test_a_request_that_is_none_is_refused_without_a_word_in_the_log(
    stack: Stack, parts: NewestParts, caplog: pytest.LogCaptureFixture
) -> None:
    server = PageServer(page_access("127.0.0.1", TOKEN), 0, parts, stack.commands(), RATE)
    here = f"Host: 127.0.0.1:{server.port}\r\n".encode()

    def status(head: bytes) -> int:
        with closing(socket.create_connection(("127.0.0.1", server.port))) as line:
            line.sendall(head + b"Content-Length: 0\r\n\r\n")
            line.settimeout(PATIENCE)
            return int(line.recv(4000).split()[1])

    try:
        for token in (b"\xff\xfe", b"\xed\xa0\x80", b"\x80" * LEAST_TOKEN):
            assert status(b"POST /stop HTTP/1.1\r\n" + here + b"Authorization: Bearer " + token + b"\r\n") == 403
        for token in (b"%ff", b"%ed%a0%80"):
            assert status(b"POST /stop?token=" + token + b" HTTP/1.1\r\n" + here) == 403
        right = b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
        assert status(b"POST /stop HTTP/1.1\r\n" + here + here + right) == 400
        assert status(b"POST /stop HTTP/1.1\r\n" + here + b"Content-Length: 1\r\n" + right) == 400
        assert stack.heard == []
        assert status(b"POST /stop HTTP/1.1\r\n" + here + right) == 200
    finally:
        server.close()
    assert caplog.records == []


def test_commands_that_wait_are_as_many_as_may_and_a_stop_is_one_more(server: PageServer, stack: Stack) -> None:
    async def work(session: ClientSession) -> None:
        def post(name: str) -> asyncio.Future[Any]:
            return asyncio.ensure_future(session.post(f"{server.address}{name}", json={}))

        waiting = [post("wait") for _ in range(MOST_COMMANDS + 1)]
        done, _ = await asyncio.wait(waiting, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert [each.result().status for each in done] == [503]
        async with session.post(f"{server.address}stop") as answer:
            assert answer.status == 200
        stack.held.set()
        answers = await asyncio.gather(*waiting)
        assert sorted(each.status for each in answers) == [200] * MOST_COMMANDS + [503]
        for each in answers:
            each.release()

    run(work)


def test_numbers_that_are_none_are_shown_as_nothing(server: PageServer, parts: NewestParts) -> None:
    parts.put("state", {"speed": float("nan"), "modes": [[float("inf"), 1.0]]})

    async def work(session: ClientSession) -> None:
        async with session.ws_connect(f"{server.address}live") as page:
            assert (await next_of(page))["state"][0] == {"speed": None, "modes": [[None, 1.0]]}

    run(work)


def test_other_origins_and_hosts_neither_see_nor_command(server: PageServer, stack: Stack) -> None:
    async def work(session: ClientSession) -> None:
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": f"rebound:{server.port}"}):
            for path in ("stop", "say"):
                async with session.post(f"{server.address}{path}", json={}, headers=headers) as answer:
                    assert answer.status == 403
            for path in ("", "live", "live.js"):
                async with session.get(f"{server.address}{path}", headers=headers) as answer:
                    assert answer.status == 403
        assert stack.heard == []

    run(work)


def test_with_a_token_nothing_is_shown_or_done_without_it(stack: Stack, parts: NewestParts) -> None:
    server = PageServer(page_access("127.0.0.1", TOKEN), 0, parts, stack.commands(), RATE)
    base, fragment = server.address.split("#")
    parts.put("state", {})

    async def work(session: ClientSession) -> None:
        for wrong in ("", "?token=", "?token=0123456789abcdeg"):
            async with session.post(f"{base}stop{wrong}") as answer:
                assert answer.status == 403
            async with session.get(f"{base}live{wrong}") as answer:
                assert answer.status == 403
        async with session.get(base) as answer:  # which holds nothing but the way to ask
            assert answer.status == 200
        async with session.post(f"{base}stop", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{base}live?token={TOKEN}") as page:
            assert "state" in await next_of(page)

    try:
        assert fragment == f"token={TOKEN}"
        run(work)
    finally:
        server.close()
    assert stack.heard == [("stop", {})]


@pytest.mark.parametrize("passes_host", [True, False])
def test_a_page_behind_a_proxy_shows_and_obeys_as_its_own_origin_alone(
    stack: Stack, parts: NewestParts, passes_host: bool
) -> None:
    """A real one in between, which writes the Host of the browser or, as most do unless told otherwise, its own."""
    name = "robots.example"
    server = PageServer(page_access("127.0.0.1", TOKEN, f"https://{name}"), 0, parts, stack.commands(), RATE)
    parts.put("state", {"number": 3})
    bearer = {"Host": name, "Authorization": f"Bearer {TOKEN}"}

    async def work(session: ClientSession) -> None:
        async with proxy_of(session, server.port, passes_host) as proxy:
            ours = {**bearer, "Origin": f"https://{name}"}
            async with session.get(proxy, headers={"Host": name}) as answer:
                assert answer.status == 200
            async with session.post(f"{proxy}stop", headers=ours) as answer:
                assert (await answer.json())["done"]
            async with session.ws_connect(f"{proxy}live?token={TOKEN}", headers=ours) as page:
                assert (await next_of(page))["state"][0] == {"number": 3}
            for wrong in ({"Origin": "https://evil.example"}, {"Authorization": ""}):
                async with session.post(f"{proxy}stop", headers={**ours, **wrong}) as answer:
                    assert answer.status == 403
        assert stack.heard == [("stop", {})]

    try:
        assert server.address == f"https://{name}/#token={TOKEN}"
        run(work)
    finally:
        server.close()


@asynccontextmanager
async def proxy_of(session: ClientSession, port: int, passes_host: bool) -> AsyncIterator[str]:
    """Address of a reverse proxy of a page on this machine."""

    def passed(headers: Any) -> dict[str, str]:
        kept = ("Authorization", "Origin", *(("Host",) if passes_host else ()))
        return {each: headers[each] for each in kept if each in headers}

    async def pass_on(request: web.Request) -> web.StreamResponse:
        address, headers = f"http://127.0.0.1:{port}{request.path_qs}", passed(request.headers)
        if request.headers.get("Upgrade") == "websocket":
            here = web.WebSocketResponse()
            await here.prepare(request)
            async with session.ws_connect(address, headers=headers, max_msg_size=0) as there:
                await here.send_bytes(await there.receive_bytes())
                await there.send_str(await here.receive_str())
            return here
        body = await request.read()
        async with session.request(request.method, address, headers=headers, data=body) as answer:
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(application)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def test_what_is_served_runs_nothing_of_others_and_is_in_nobodys_frame(server: PageServer) -> None:
    async def work(session: ClientSession) -> None:
        for path in ASSETS:
            async with session.get(f"{server.address}{path}") as answer:
                assert answer.status == 200
                policy, text = answer.headers["Content-Security-Policy"], await answer.text()
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "http://" not in text.replace("http://www.w3.org", "")
            assert "https://" not in text
            assert "innerHTML" not in text

    run(work)


def test_a_port_that_is_taken_is_no_obstacle(stack: Stack, parts: NewestParts) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = PageServer(page_access("127.0.0.1"), port, parts, stack.commands(), RATE)
        try:
            assert server.port != port
            assert server.address == f"http://127.0.0.1:{server.port}/"
        finally:
            server.close()


def test_an_address_of_another_machine_is_refused_in_a_line(stack: Stack, parts: NewestParts) -> None:
    with pytest.raises(UserError, match=r"cannot listen on 192\.0\.2\.1"):
        PageServer(page_access("192.0.2.1"), 0, parts, stack.commands(), RATE)
