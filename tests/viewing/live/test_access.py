"""Who may see and command through the page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mini_diffuser_ros.viewing.live.access import LEAST_TOKEN, AccessError, PageAccess, page_access

LOCAL = page_access("127.0.0.1")
OPEN = PageAccess(address="0.0.0.0", token="a" * LEAST_TOKEN, names=frozenset({"lab-pc", "lab-pc.local"}))


@pytest.mark.parametrize("host", ["127.0.0.1:8470", "localhost:8470", "LOCALHOST", "[::1]:8470", "127.0.0.2:1"])
@pytest.mark.parametrize("access", [LOCAL, OPEN])
def test_this_machine_is_known_by_its_loopback_names_at_any_port(access: PageAccess, host: str) -> None:
    assert access.refusal_of_sender(host, None) == ""
    assert access.refusal_of_sender(host, f"http://{host}") == ""


@pytest.mark.parametrize("host", ["evil.example:8470", "127.0.0.1.evil.example", "192.168.1.5:8470", "", "[", "a b"])
def test_a_name_that_somebody_had_lead_here_is_refused(host: str) -> None:
    assert "is no name of this machine" in LOCAL.refusal_of_sender(host, None)


def test_beyond_loopback_numbers_and_names_of_this_machine_count() -> None:
    for host in ("192.168.1.5:8470", "lab-pc:8470", "LAB-PC.local:8470", "[fe80::1]:8470"):
        assert OPEN.refusal_of_sender(host, None) == ""
    assert "is no name of this machine" in OPEN.refusal_of_sender("rebound.example:8470", None)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "http://localhost:9999",
        "http://127.0.0.1",
        "file://",
        "http://127.0.0.1:8470/",
    ],
)
def test_another_origin_is_refused(origin: str) -> None:
    assert "is another page" in LOCAL.refusal_of_sender("127.0.0.1:8470", origin)


def test_an_address_beyond_this_machine_always_has_a_token() -> None:
    assert page_access("127.0.0.1").token == page_access("::1").token == page_access("localhost").token == ""
    drawn = [page_access("0.0.0.0").token for _ in range(3)]
    assert len(set(drawn)) == 3
    assert all(len(token) >= LEAST_TOKEN for token in drawn)
    assert page_access("192.168.1.5", "0123456789abcdef").token == "0123456789abcdef"


@given(
    st.text(st.characters(), max_size=40) | st.binary(max_size=40).map(lambda raw: raw.decode(errors="surrogateescape"))
)
def test_any_other_token_is_refused(given_token: str) -> None:
    assert bool(OPEN.refusal_of_token(given_token)) == (given_token != OPEN.token)
    assert LOCAL.refusal_of_token(given_token) == ""


PROXIED = page_access("127.0.0.1", proxy="https://Robots.example:443/")


def test_a_proxy_is_one_name_and_one_origin_more_and_asks_for_a_token() -> None:
    assert PROXIED.proxy == "https://robots.example"
    assert len(PROXIED.token) >= LEAST_TOKEN
    for host in ("robots.example", "127.0.0.1:8470"):  # as it passes the browser's on, or writes its own
        assert PROXIED.refusal_of_sender(host, "https://robots.example") == ""
        assert PROXIED.refusal_of_sender(host, None) == ""
        for other in ("https://evil.example", "http://robots.example", "https://robots.example:8443", "null"):
            assert "is another page" in PROXIED.refusal_of_sender(host, other)
    for host in ("evil.example", "robots.example.evil", "robots.example:8443", "evil.robots.example"):
        assert "is no name of this machine" in PROXIED.refusal_of_sender(host, "https://robots.example")
    assert "is no name of this machine" in LOCAL.refusal_of_sender("robots.example", None)
    assert "is another page" in LOCAL.refusal_of_sender("127.0.0.1:8470", "https://robots.example")


@pytest.mark.parametrize(
    "proxy",
    [
        "robots.example",
        "https://",
        "https://a/path",
        "ftp://a",
        "https://a?b",
        "https://u@a",
        "https://a b",
        "https://a:x",
    ],
)
def test_an_address_of_a_proxy_that_is_none_is_refused_in_a_line(proxy: str) -> None:
    with pytest.raises(AccessError, match="no address as https"):
        page_access("127.0.0.1", proxy=proxy)


def test_a_token_is_not_shown() -> None:
    assert OPEN.token not in repr(OPEN)


@pytest.mark.parametrize(
    ("address", "token", "said"),
    [
        ("robot.example", "", "is no IP address"),
        ("", "", "is no IP address"),
        ("127.0.0.1", "short", "a token of 5 characters"),
        ("0.0.0.0", "with spaces and more", "expected at least"),
    ],
)
def test_what_cannot_be_opened_is_said_in_a_line(address: str, token: str, said: str) -> None:
    with pytest.raises(AccessError, match=said):
        page_access(address, token)
