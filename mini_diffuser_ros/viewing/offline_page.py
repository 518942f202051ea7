"""One HTML file that shows data and needs nothing else: no server, no network, no other file.

The page's scripts and style lie beside this module and are written into the file. A policy in its head lets a browser
run these scripts alone and load nothing, whatever stands in the data, which scripts set as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from mini_diffuser_ros.support.files import write_whole

MOST_ROWS = 500
"""Of a table; a page has to open."""

_STYLE = "page.css"
_SURROGATE = re.compile("[\ud800-\udfff]")


def write_page(path: Path, title: str, scripts: Sequence[str], data: Any) -> None:
    """Write a page whose scripts find ``data`` as the JSON text of the element ``data`` and build it into ``<main>``.

    Args:
        path: the file; its folder exists.
        title: of the window.
        scripts: names of files of the folder ``page``, run in this order.
        data: plain values; numbers are finite.

    Raises:
        OSError: if the file cannot be written.
        ValueError: if a number is not finite, which JSON cannot hold.
    """
    write_whole(path, page_text(title, scripts, data))


def page_text(title: str, scripts: Sequence[str], data: Any) -> str:
    """The page that :func:`write_page` writes; half a character of UTF-16, which no file can hold, is replaced."""
    texts = [_asset(name) for name in scripts]
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in texts)
    style = _asset(_STYLE)
    policy = f"default-src 'none'; img-src data:; media-src blob:; style-src 'unsafe-inline'; script-src {allowed}"
    # "<" as an escape: nothing within the data can end the element that holds them.
    values = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    page = "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title><style>{style}</style></head>",
            f'<body><main></main><script type="application/json" id="data">{values}</script>',
            *(f"<script>{script}</script>" for script in texts),
            "</body></html>\n",
        ]
    )
    return _SURROGATE.sub("\ufffd", page)


def _asset(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
