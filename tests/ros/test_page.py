"""The page of a stack in a real browser: a sentence is typed, what happens is seen, one key brings the arm to rest."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import JointState

from .arm import GUARD_PATIENCE, PATIENCE, is_moving, stays_at_rest
from .browser import BROWSER, WITHOUT, Tab, browsing
from .conftest import DISCOVERY, ENDING, SHIPPED, Peer, Process
from .live_page import Page, page_of

SPACE = "/left"
SENTENCE = "stack the red block on the green block"
HOSTILE = "<img src=x onerror=\"document.title='broken'\"> press the red button"
ESCAPE = 27


@pytest.fixture(scope="module")
def states(peer: Peer) -> list[JointState]:
    """Joint states of the arm, as they are measured."""
    return peer.collect(JointState, f"{SPACE}/joint_states", qos_profile_sensor_data)


@pytest.fixture(scope="module")
def stack(start: Callable[..., Process], checkpoint: Path, states: list[JointState]) -> None:
    cameras = "[front, left_shoulder, wrist]"
    start("sim_node", namespace=SPACE, image_size=128, instruction=f"'{SENTENCE}'")
    start("perception_node", namespace=SPACE, cameras=cameras, max_image_age=5.0, checkpoint=checkpoint)
    start("guard_node", namespace=SPACE, **GUARD_PATIENCE)
    # Slow enough for a browser on a busy machine to press a key while the arm moves.
    start("motion_node", namespace=SPACE, client_timeout=4.0, speed=0.05, **PATIENCE)
    start("policy_node", namespace=SPACE, checkpoint=checkpoint, cloud_timeout=60.0)


@pytest.fixture(scope="module")
def page(stack: None, peer: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with page_of(peer, "left", tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture(scope="module")
def tab(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if BROWSER is None:
        pytest.skip(WITHOUT)
    with browsing(page.address(), tmp_path_factory.mktemp("browser")) as opened:
        yield opened


def say(tab: Tab, sentence: str) -> None:
    tab.tell("document.getElementById('sentence').value = ''; document.getElementById('sentence').focus()")
    tab.type(sentence)
    tab.press("Enter", 13)
    tab.tell("document.getElementById('say').requestSubmit()")


@pytest.mark.skipif(not (SHIPPED / "model.safetensors").is_file(), reason="an untrained policy may move nothing")
def test_a_sentence_is_typed_what_happens_is_seen_and_one_key_brings_the_arm_to_rest(
    tab: Tab, peer: Peer, states: list[JointState]
) -> None:
    tab.await_that("document.getElementById('now').textContent === 'ready for a sentence'", DISCOVERY)
    tab.await_that("Number(document.body.dataset.points) > 50", DISCOVERY)
    tab.await_that("document.querySelectorAll('#cameras img').length === 3", DISCOVERY)
    tab.await_that("document.querySelectorAll('#known option').length > 20", DISCOVERY)
    say(tab, SENTENCE)
    tab.await_that("document.querySelectorAll('#candidates tbody tr').length > 0", DISCOVERY)
    assert "familiarity of the sentence" in tab.text("#beliefs")
    tab.await_that("/keyframe 1: moving/.test(document.getElementById('now').textContent)", DISCOVERY)
    peer.await_that(lambda: is_moving(states))
    tab.press("Escape", ESCAPE)
    tab.await_that("document.getElementById('stopped').textContent.includes('the arm rests')", DISCOVERY)
    states.clear()
    peer.await_that(lambda: len(states) > 50)
    assert stays_at_rest(states)
    tab.await_that("document.getElementById('ended').textContent.startsWith('STOPPED')", DISCOVERY)
    assert "Stop was pressed" in tab.text("#lines")


def test_the_arm_stays_stopped_until_resume_is_pressed(tab: Tab) -> None:
    tab.await_that("document.body.dataset.stopped === 'true'", DISCOVERY)
    tab.tell("document.getElementById('resume').click()")
    tab.await_that("document.body.dataset.stopped === 'false'", DISCOVERY)


def test_html_in_a_sentence_is_shown_as_text(tab: Tab) -> None:
    title = tab.tell("document.title")
    say(tab, HOSTILE)
    tab.await_that("document.getElementById('ended').textContent.startsWith('UNFAMILIAR')", DISCOVERY)
    assert tab.tell("document.title") == title
    assert tab.tell("document.querySelectorAll('main img:not([alt^=\"camera \"])').length") == 0


def test_speed_is_set_from_the_page(tab: Tab) -> None:
    tab.tell(
        "document.getElementById('speed').value = '40';"
        "document.getElementById('speed').dispatchEvent(new Event('change'))"
    )
    tab.await_that("document.getElementById('percent').textContent.startsWith('40 %')", DISCOVERY)


@pytest.mark.skipif(not (SHIPPED / "model.safetensors").is_file(), reason="an untrained policy may move nothing")
def test_the_key_stops_the_arm_when_the_rest_of_the_page_has_broken_down(
    tab: Tab, page: Page, peer: Peer, states: list[JointState]
) -> None:
    tab.tell("showPart = () => { throw new Error('broken') }; document.querySelector('main').remove()")
    for path, values in (("speed", {"percent": 100}), ("say", {"sentence": SENTENCE})):
        request = Request(f"{page.address()}{path}", data=json.dumps(values).encode())
        with urlopen(request, timeout=DISCOVERY) as answer:
            assert json.load(answer)["done"]
    states.clear()
    peer.await_that(lambda: states and is_moving(states))
    tab.press("Escape", ESCAPE)
    tab.await_that("document.getElementById('stopped').textContent.includes('the arm rests')", DISCOVERY)
    states.clear()
    peer.await_that(lambda: len(states) > 50)
    assert stays_at_rest(states)


def test_a_stop_without_any_browser_is_a_plain_request(page: Page) -> None:
    with urlopen(Request(f"{page.address()}stop", method="POST"), timeout=ENDING) as answer:
        assert json.load(answer)["done"]


def test_other_pages_and_unknown_commands_are_refused(page: Page) -> None:
    def refused(path: str, **headers: str) -> int:
        with pytest.raises(HTTPError) as error:
            urlopen(Request(f"{page.address()}{path}", data=b"{}", headers=headers), timeout=ENDING)
        return error.value.code

    assert refused("stop", Origin="http://evil.example") == 403
    assert refused("resume", Host="evil.example") == 403
    assert refused("explode") in (404, 405)
    assert refused("speed") == 409


def test_an_address_beyond_this_machine_is_printed_with_its_token(tmp_path: Path, peer: Peer) -> None:
    page = Page(tmp_path / "log", "--address", "0.0.0.0", "--port", "0")
    try:
        address = peer.await_that(page.address)
        assert re.search(r"#token=[0-9a-f]{32}$", address)
        with pytest.raises(HTTPError):
            urlopen(Request(f"http://127.0.0.1:{urlsplit(address).port}/stop", method="POST"))
    finally:
        page.end()


def test_an_address_that_is_none_is_refused_in_a_line() -> None:
    command = [sys.executable, "-m", "mini_diffuser_ros.commands.main", "ui", "--address", "robot"]
    said: Any = subprocess.run(command, capture_output=True, text=True, timeout=DISCOVERY)
    assert said.returncode != 0
    assert "is no IP address" in said.stderr
    assert len(said.stderr.splitlines()) == 1
