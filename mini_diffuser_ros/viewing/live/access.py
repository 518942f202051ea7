"""Who may see and command through the page: by the address it is bound to, a token, and where a request comes from."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mini_diffuser_ros.support.errors import UserError

LEAST_TOKEN = 16
"""Characters of a token that somebody gives."""

PORTS = {"http": 80, "https": 443}
ORIGIN_NAME = re.compile(r"[a-z0-9._:-]+")


class AccessError(UserError, ValueError):
    """An address or a token that the page cannot be opened with."""


@dataclass(frozen=True, kw_only=True)
class PageAccess:
    """What a request needs.

    A browser says under which name it found the page (Host) and which page asks (Origin). A name that is none of this
    machine's is one that somebody else had lead here (DNS rebinding), another origin is somebody else's page: both are
    refused whatever token they bring. A proxy in front of the page is one name and one origin more, those that were
    given; it passes the browser's Host on, port included, or writes the page's own address.

    Attributes:
        address: that the page is bound to.
        token: that a request has to bring; empty for none, which loopback without a proxy alone allows.
        names: of this machine, in lower case.
        proxy: origin of the proxy, as ``https://robots.example:8443``; empty for none.
    """

    address: str
    token: str = field(repr=False)
    names: frozenset[str] = frozenset()
    proxy: str = ""

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches the page."""
        return _is_loopback(self.address)

    def refusal_of_sender(self, host: str, origin: str | None) -> str:
        """Why a request of this Host and Origin is refused; empty if it is not."""
        if self.proxy and origin is not None and origin.lower() == self.proxy:
            origin = None
        by_proxy = bool(self.proxy) and host.lower() == urlsplit(self.proxy).netloc
        if not by_proxy and not self._is_ours(_name_in(host)):
            return f"Host {host[:80]!r} is no name of this machine: open the page by the address that was printed"
        own = () if by_proxy else (f"http://{host.lower()}", f"https://{host.lower()}")
        if origin is not None and origin.lower() not in own:
            return f"Origin {origin[:80]!r} is another page: only this one may ask"
        return ""

    def refusal_of_token(self, given: str) -> str:
        """Why a request that wants to see or to command is refused; empty if it is not."""
        # What is no text, as bytes that are no UTF-8 make it, is no token: one is of letters and digits.
        if not self.token or hmac.compare_digest(given.encode(errors="replace"), self.token.encode()):
            return ""
        return "the token is missing or wrong: open the page by the whole address that was printed"

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or _is_loopback(name):
            return True
        return not self.is_local and (name in self.names or _is_number(name))


def page_access(address: str, token: str = "", proxy: str = "") -> PageAccess:
    """What requests need where the page is bound to an address; beyond loopback always a token, drawn if none is given.

    Args:
        address: IP address, or ``localhost``.
        token: empty for none, or one to be drawn.
        proxy: address of a proxy in front of the page, as ``https://robots.example``; who reaches it needs a token.

    Raises:
        AccessError: an address is none, or the token too short or not plain.
    """
    proxy = _origin_of(proxy) if proxy else ""
    if not (address == "localhost" or _is_number(address)):
        raise AccessError(f"address {address!r} is no IP address: 127.0.0.1 for this machine alone, 0.0.0.0 for all")
    if token and (len(token) < LEAST_TOKEN or not (token.isascii() and token.isalnum())):
        raise AccessError(
            f"a token of {len(token)} characters: expected at least {LEAST_TOKEN} letters and digits, or none for one "
            "that is drawn"
        )
    if not token and (proxy or not _is_loopback(address)):
        token = secrets.token_hex(LEAST_TOKEN)
    name = socket.gethostname().lower()  # the full one would be asked of a network that may not answer
    return PageAccess(address=address, token=token, names=frozenset({name, f"{name}.local"}), proxy=proxy)


def _origin_of(address: str) -> str:
    """Origin as a browser sends it: in lower case, without a port that is its scheme's own.

    Raises:
        AccessError: it is no address of a whole host.
    """
    try:
        parts = urlsplit(address.lower())
        port, name = parts.port, parts.hostname or ""
    except ValueError:
        name = ""
    is_whole = name and parts.scheme in PORTS and parts.path in ("", "/") and not (parts.query or parts.fragment)
    if not is_whole or parts.username is not None or not ORIGIN_NAME.fullmatch(name):
        raise AccessError(
            f"proxy {address[:80]!r} is no address as https://robots.example: scheme, name, port, no path"
        )
    shown = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{shown}" + ("" if port in (None, PORTS[parts.scheme]) else f":{port}")


def _name_in(host: str) -> str:
    """Name in a Host header, in lower case, without its port; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_number(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    return name == "localhost" or (_is_number(name) and ipaddress.ip_address(name).is_loopback)
