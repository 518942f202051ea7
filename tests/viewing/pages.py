"""Reading pages as a browser would find them."""

from __future__ import annotations

import json
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

HOSTILE = "</script><img src=x onerror=\"document.title='broken'\"> & 'stack' <b>it</b> <!--"


class Parts(HTMLParser):
    """The scripts of a page, its data, its policy, and every address that something names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.data = ""
        self.policy = ""
        self.title = ""
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._within: str | None = None
        self.feed(text)

    @classmethod
    def of(cls, path: Path) -> Parts:
        return cls(path.read_text(encoding="utf-8"))

    @property
    def values(self) -> Any:
        return json.loads(self.data)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.tags.append(tag)
        self.addresses += [str(named[name]) for name in ("src", "href") if name in named]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = str(named["content"])
        if tag == "script":
            self._within = named.get("id") or "script"
            self.scripts += [""] if self._within == "script" else []
        if tag == "title":
            self._within = tag

    def handle_endtag(self, tag: str) -> None:
        self._within = None

    def handle_data(self, data: str) -> None:
        if self._within == "data":
            self.data += data
        elif self._within == "title":
            self.title += data
        elif self._within == "script":
            self.scripts[-1] += data


BROWSER = shutil.which("chromium-headless-shell") or shutil.which("chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=3000",
)


def browsed(address: str, profile: Path) -> str:
    """What a browser makes of a page, as HTML.

    Args:
        address: of the page.
        profile: empty folder for what the browser keeps.
    """
    words = [str(BROWSER), *FLAGS, f"--user-data-dir={profile}", "--dump-dom", address]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, check=True).stdout
