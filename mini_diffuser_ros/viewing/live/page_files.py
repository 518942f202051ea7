"""The files of the live page as they are served, and the headers that keep others out of it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from urllib.parse import quote

ASSETS = {
    "": ("live.html", "text/html"),
    "live.css": ("live.css", "text/css"),
    **{
        name: (name, "text/javascript")
        for name in ("stop.js", "elements.js", "scene.js", "live_scene.js", "live_asking.js", "live.js")
    },
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page_files(stack: str) -> Mapping[str, tuple[bytes, str]]:
    """Content and type of each file by its path.

    Args:
        stack: whose page it is; the page holds it from the begin on, and says it with whatever it asks for.
    """
    folder = files("mini_diffuser_ros.viewing") / "page"
    served = {path: ((folder / name).read_bytes(), kind) for path, (name, kind) in ASSETS.items()}
    html, kind = served[""]
    for mark, text in ((b"@STACK@", escape(stack)), (b"@STACK_IN_ADDRESS@", quote(stack, safe=""))):
        html = html.replace(mark, text.encode())
    return {**served, "": (html, kind)}
