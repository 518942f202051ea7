"""Who may see and command through the page: by the address it is bound to, a token, and where a request comes from."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mini_diffuser_ros.support.errors import UserError

LEAST_TOKEN = 16
"""Characters of a token that somebody gives."""


class AccessError(UserError, ValueError):
    """An address or a token that the page cannot be opened with."""


@dataclass(frozen=True, kw_only=True)
class PageAccess:
    """What a request needs.

    A browser says under which name it found the page (Host) and which page asks (Origin). A name that is none of this
    machine's is one that somebody else had lead here (DNS rebinding), another origin is somebody else's page: both are
    refused whatever token they bring.

    Attributes:
        address: that the page is bound to.
        token: that a request has to bring; empty for none, which loopback alone allows.
        names: of this machine, in lower case.
    """

    address: str
    token: str = field(repr=False)
    names: frozenset[str] = frozenset()

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches the page."""
        return _is_loopback(self.address)

    def refusal_of_sender(self, host: str, origin: str | None) -> str:
        """Why a request of this Host and Origin is refused; empty if it is not."""
        name = _name_in(host)
        if not self._is_ours(name):
            return f"Host {host[:80]!r} is no name of this machine: open the page by the address that was printed"
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return f"Origin {origin[:80]!r} is another page: only this one may ask"
        return ""

    def refusal_of_token(self, given: str) -> str:
        """Why a request that wants to see or to command is refused; empty if it is not."""
        if not self.token or hmac.compare_digest(given.encode(), self.token.encode()):
            return ""
        return "the token is missing or wrong: open the page by the whole address that was printed"

    def _is_ours(self, name: str) -> bool:
        if name == "localhost" or _is_loopback(name):
            return True
        return not self.is_local and (name in self.names or _is_number(name))


def page_access(address: str, token: str = "") -> PageAccess:
    """What requests need where the page is bound to an address; beyond loopback always a token, drawn if none is given.

    Args:
        address: IP address, or ``localhost``.
        token: empty for none, or one to be drawn.

    Raises:
        AccessError: the address is none, or the token too short or not plain.
    """
    if not (address == "localhost" or _is_number(address)):
        raise AccessError(f"address {address!r} is no IP address: 127.0.0.1 for this machine alone, 0.0.0.0 for all")
    if token and (len(token) < LEAST_TOKEN or not (token.isascii() and token.isalnum())):
        raise AccessError(
            f"a token of {len(token)} characters: expected at least {LEAST_TOKEN} letters and digits, or none for one "
            "that is drawn"
        )
    if not token and not _is_loopback(address):
        token = secrets.token_hex(LEAST_TOKEN)
    name = socket.gethostname().lower()  # the full one would be asked of a network that may not answer
    return PageAccess(address=address, token=token, names=frozenset({name, f"{name}.local"}))


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
