"""Presses on the page in a real browser, with a stack that is made up: what is asked for, of whom, and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mini_diffuser_ros.viewing.live.access import page_access
from mini_diffuser_ros.viewing.live.parts import NewestParts
from mini_diffuser_ros.viewing.live.run_state import RunState
from mini_diffuser_ros.viewing.live.server import Answer, PageServer

from .browser import BROWSER, WITHOUT, Tab, browsing

pytestmark = [pytest.mark.process, pytest.mark.skipif(BROWSER is None, reason=WITHOUT)]

ESCAPE = 27
RESTS = "stopped, the arm rests"
PERIOD = 0.1  # seconds


class MadeUpStack:
    """A page of a stack whose nodes say how they are, and that writes down what is asked of it."""

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.to_stop = Answer(done=True, said=RESTS)
        self.lasts = 0.0  # seconds of a stop
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers = threading.Event()  # whether anything but a stop is answered
        self.answers.set()
        self.parts, self.state = NewestParts(), RunState()
        self._ended = threading.Event()
        commands = {each: self._taking(each) for each in ("stop", "resume", "speed", "answer", "say")}
        self.server = PageServer(page_access("127.0.0.1"), port, self.parts, commands, 30.0, name)
        self._thread = threading.Thread(target=self._tell)
        self._thread.start()

    def of(self, command: str) -> list[dict[str, Any]]:
        """What came with each of the commands of a name."""
        return [values for name, values in list(self.asked) if name == command]

    def end(self) -> None:
        self._ended.set()
        self.answers.set()
        self._thread.join()
        self.server.close()

    def _taking(self, name: str) -> Callable[[Mapping[str, Any]], Answer]:
        def take(values: Mapping[str, Any]) -> Answer:
            self.asked.append((name, dict(values)))
            if name == "stop":
                time.sleep(self.lasts)
                return self.to_stop
            self.answers.wait(60.0)
            return Answer(done=True, said=f"{name} done")

        return take

    def _tell(self) -> None:
        while not self._ended.wait(PERIOD):
            for node in ("policy_node", "motion_node"):
                self.state.health(f"{node}: itself", 0, "well", {})
            self.parts.put("state", self.state.values())
            self.parts.put("clock", {"time": str(time.monotonic())})


@contextmanager
def made_up(name: str, port: int = 0) -> Iterator[MadeUpStack]:
    stack = MadeUpStack(name, port)
    try:
        yield stack
    finally:
        stack.end()


@pytest.fixture(scope="module")
def stack() -> Iterator[MadeUpStack]:
    with made_up("/left, domain 0 on robots") as made:
        yield made


@pytest.fixture(scope="module")
def opened(stack: MadeUpStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browsing(stack.server.address, tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def tab(stack: MadeUpStack, opened: Tab) -> Tab:
    """The page, loaded anew."""
    stack.asked.clear()
    stack.state.tell(stopped=False, question=None)
    opened.tell("location.hash = ''; window.isOld = true; location.reload()")
    opened.await_that("!window.isOld && document.getElementById('now')?.textContent.includes('not ready')")
    return opened


def until(condition: Callable[[], Any], patience: float = 60.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def shows(selector: str, words: str) -> str:
    return f"document.querySelector('{selector}').textContent.includes({words!r})"


def ask(stack: MadeUpStack, tab: Tab, number: str) -> None:
    """Have a question open, and drawn."""
    stack.state.tell(question={"id": number, "text": f"to place {number}"})
    tab.await_that(shows("#asked", f"to place {number}"))


def test_a_stop_is_asked_for_where_signals_have_no_timeouts(tab: Tab, stack: MadeUpStack) -> None:
    tab.tell("Object.defineProperty(AbortSignal, 'timeout', {value: undefined}); stopLine = null")
    tab.press("Escape", ESCAPE)
    tab.await_that(shows("#stopped", RESTS))
    assert stack.of("stop")


def test_a_press_is_one_stop_and_one_that_holds_is_asked_for_once(tab: Tab, stack: MadeUpStack) -> None:
    """Though the arm is never measured to rest; by the request and the websocket, and pressed again meanwhile."""
    stack.to_stop, stack.lasts = Answer(done=False, said="silent joints", holds=True), 0.5
    try:
        for _ in range(3):
            tab.press("Escape", ESCAPE)
        tab.await_that(shows("#stopped", "silent joints"))
        tab.tell("new Promise((done) => setTimeout(done, 4 * STOP_PAUSE + 500))")
        assert len(stack.of("stop")) == 1
    finally:
        stack.to_stop, stack.lasts = Answer(done=True, said=RESTS), 0.0


def test_a_stop_is_asked_for_until_the_stack_says_that_one_holds(tab: Tab, stack: MadeUpStack) -> None:
    stack.to_stop = Answer(done=False, said="nobody serves it")
    try:
        tab.press("Escape", ESCAPE)
        until(lambda: len(stack.of("stop")) >= 3)
        stack.state.tell(stopped=True, arm="the arm moves", rests=False)
        tab.await_that("document.getElementById('stopped').dataset.done === 'yes'")
        tab.tell("new Promise((done) => setTimeout(done, 3 * STOP_PAUSE))")
        asked = len(stack.of("stop"))
        tab.tell("new Promise((done) => setTimeout(done, 4 * STOP_PAUSE))")
        stack.state.tell(stopped=False)
        tab.await_that("document.getElementById('stopped').textContent === ''")
        tab.tell("new Promise((done) => setTimeout(done, 4 * STOP_PAUSE))")
        assert len(stack.of("stop")) == asked
    finally:
        stack.to_stop = Answer(done=True, said=RESTS)


def test_a_stop_does_not_wait_for_requests_that_nobody_answers(tab: Tab, stack: MadeUpStack) -> None:
    """As many as a browser has connections for, by whatever they were sent."""
    stack.answers.clear()
    try:
        tab.tell("for (let i = 0; i < 12; i++) ask('resume', {}).catch(() => {}); 1")
        until(lambda: len(stack.of("resume")) >= 4)
        tab.press("Escape", ESCAPE)
        tab.await_that(shows("#stopped", RESTS))
        assert not stack.answers.is_set()
    finally:
        stack.answers.set()
    until(lambda: len(stack.of("resume")) == 12)


def test_a_button_asks_once_until_it_is_answered_and_of_speeds_the_last_counts(tab: Tab, stack: MadeUpStack) -> None:
    stack.answers.clear()
    tab.tell("for (let i = 0; i < 9; i++) document.getElementById('resume').click()")
    for percent in (80, 60, 40):
        tab.tell(f"byId('speed').value = '{percent}'; byId('speed').dispatchEvent(new Event('change'))")
    until(lambda: stack.of("resume") and stack.of("speed"))
    assert tab.tell("document.getElementById('resume').disabled")
    stack.answers.set()
    tab.await_that("!document.getElementById('resume').disabled")
    until(lambda: len(stack.of("speed")) == 2)
    assert stack.of("resume") == [{}]
    assert stack.of("speed") == [{"percent": 80}, {"percent": 40}]


def test_a_request_that_nobody_answers_is_given_up_in_words(tab: Tab, stack: MadeUpStack) -> None:
    stack.answers.clear()
    try:
        tab.tell("void command('resume', {}, 300)")
        tab.await_that(shows("#answer", "no answer to resume within 0.3 s"))
    finally:
        stack.answers.set()


def test_a_stop_that_holds_is_told_with_what_is_measured(tab: Tab, stack: MadeUpStack) -> None:
    stack.state.tell(stopped=True, arm="the arm moves at 0.80 rad/s", rests=False)
    tab.await_that(shows("#holds", "a stop holds until Resume; measured: the arm moves at 0.80 rad/s"))
    assert tab.tell("document.getElementById('holds').classList.contains('moving')")
    stack.state.tell(arm="at rest", rests=True)
    tab.await_that(shows("#holds", "measured: at rest"))
    assert not tab.tell("document.getElementById('holds').classList.contains('moving')")
    stack.state.tell(stopped=False)
    tab.await_that("document.getElementById('holds').textContent === ''")


def test_a_question_can_be_answered_once_it_has_been_drawn_for_a_while(tab: Tab, stack: MadeUpStack) -> None:
    ask(stack, tab, "111")
    tab.tell("byId('consent').click(); byId('decline').click()")
    tab.await_that("!byId('consent').disabled")
    ask(stack, tab, "222")
    tab.tell("byId('consent').click(); byId('decline').click()")  # just after it took the place of the other
    tab.await_that("!byId('decline').disabled")
    assert stack.of("answer") == []
    tab.tell("byId('decline').click()")
    until(lambda: stack.of("answer"))
    assert stack.of("answer") == [{"id": "222", "consent": False}]


def test_an_answer_to_an_earlier_question_does_not_stand_above_the_next(tab: Tab, stack: MadeUpStack) -> None:
    ask(stack, tab, "771")
    tab.await_that("!byId('consent').disabled")
    tab.tell("byId('consent').click()")
    tab.await_that("byId('answer').textContent === 'answer done'")
    ask(stack, tab, "772")
    tab.await_that("byId('answer').textContent === ''")


def test_a_press_that_began_before_another_question_consents_to_none(tab: Tab, stack: MadeUpStack) -> None:
    ask(stack, tab, "333")
    tab.await_that("!byId('consent').disabled")
    x, y = tab.tell(
        "(() => { const box = byId('consent').getBoundingClientRect();"
        " return [box.x + box.width / 2, box.y + box.height / 2] })()"
    )
    tab.do("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    ask(stack, tab, "444")
    tab.do("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)
    tab.await_that("!byId('consent').disabled")
    assert stack.of("answer") == []
    # And where the press is so long that the other one can be answered meanwhile.
    tab.do("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button="left", clickCount=1)
    ask(stack, tab, "555")
    tab.await_that("!byId('consent').disabled")
    tab.do("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button="left", clickCount=1)
    tab.tell("new Promise((done) => setTimeout(done, 100))")
    assert {answer["id"] for answer in stack.of("answer")} <= {"444"}


def test_a_key_that_is_held_since_another_question_consents_to_none(tab: Tab, stack: MadeUpStack) -> None:
    def enter(kind: str, **more: Any) -> None:
        tab.do("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, **more)

    ask(stack, tab, "666")
    tab.await_that("!byId('consent').disabled")
    tab.tell("byId('consent').focus()")
    for _ in range(3):
        enter("keyDown", text="\r", autoRepeat=True)
    assert stack.of("answer") == []
    enter("keyUp")
    enter("keyDown", text="\r")
    until(lambda: stack.of("answer"))
    assert stack.of("answer") == [{"id": "666", "consent": True}]
    enter("keyUp")


def test_what_has_not_come_for_long_is_told_and_greyed(tab: Tab, stack: MadeUpStack) -> None:
    stack.parts.put("camera front", {"camera": "front", "width": 1, "height": 1}, b"")
    stack.parts.put("stale", {"camera front": 7, "cloud": 12})
    tab.await_that(shows("#cameras", "front: nothing for 7 s"))
    assert tab.tell("document.querySelector('#cameras img').classList.contains('stale')")
    assert "cloud: nothing for 12 s" in tab.text("#past")
    stack.parts.put("stale", {})
    tab.await_that("document.querySelector('#cameras figcaption').textContent === 'front'")
    assert tab.text("#past") == ""
    stack.parts.drop("camera front", "stale")


def test_a_page_whose_address_leads_to_another_stack_stops_neither_and_says_so_until_its_own_is_back(
    tmp_path: Path,
) -> None:
    """Two robots that have the same address one after another; and the first page server is started again."""
    left, right = "/left, domain 0 on robots", "domain 0 on another robot"
    with made_up(left) as one:
        port, address = one.server.port, one.server.address
        one.parts.put("camera front", {"camera": "front", "width": 1, "height": 1}, b"")
        browser = browsing(address, tmp_path)
        tab = browser.__enter__()
        tab.await_that("document.querySelectorAll('#cameras img').length === 1")
    try:
        tab.press("Escape", ESCAPE)  # while nobody is there
        tab.await_that(shows("#stopped", "STOP NOT HEARD"))
        with made_up(right, port) as two:
            tab.await_that("!document.getElementById('other').hidden")
            for words in (left, right):
                assert words in tab.text("#other")
            assert tab.tell("document.querySelectorAll('#cameras img').length") == 0
            assert tab.tell("getComputedStyle(document.querySelector('main')).display") == "none"
            tab.await_that(shows("#stopped", "NOT STOPPED"))
            tab.press("Escape", ESCAPE)
            tab.tell("command('resume', {})")
            tab.await_that(shows("#stopped", f"asked of {left}"))
            assert two.asked == []
        # The press is asked for as long as nobody has answered it, however long that takes.
        tab.tell("new Promise((done) => setTimeout(done, (STOP_QUICK + 3) * STOP_PAUSE))")
        tab.await_that(shows("#stopped", "STOP NOT HEARD, asking again"))
        with made_up(left, port) as again:
            tab.await_that(shows("#stopped", RESTS))
            tab.await_that("document.getElementById('other').hidden")
            assert again.of("stop")
    finally:
        browser.__exit__(None, None, None)


def test_resume_takes_back_a_stop_that_nobody_has_heard(tmp_path: Path) -> None:
    name = "/left, domain 0 on robots"
    with made_up(name) as one:
        port = one.server.port
        browser = browsing(one.server.address, tmp_path)
        tab = browser.__enter__()
        tab.await_that("document.getElementById('now').textContent !== ''")
    try:
        tab.press("Escape", ESCAPE)
        tab.await_that(shows("#stopped", "STOP NOT HEARD"))
        tab.tell("document.getElementById('resume').click()")
        with made_up(name, port) as again:
            tab.await_that("!document.getElementById('resume').disabled")
            tab.await_that("performance.now() - heard < 500 && !document.body.classList.contains('past')")
            assert again.of("stop") == []
    finally:
        browser.__exit__(None, None, None)
