"""Every number that a verb takes has bounds: one below them, none at all and an infinite one are refused in a line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from mini_diffuser_ros.commands.bench import BENCHMARKS
from mini_diffuser_ros.commands.main import COMMANDS
from mini_diffuser_ros.commands.parser import CommandParser

MAY_BE_NEGATIVE = {
    "calibrate arm --at": "a place in the frame of the base",
    "calibrate arm --looks-at": "a place in the frame of the base",
}
NO_NUMBERS = ("-1", "nan", "inf", "-inf", "1e999", "0x10", "one", "", "9" * 5000)


class ParserSeen(Exception):  # noqa: N818 it is no fault
    """Carries the parser of a verb out of it before the verb does anything."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def parser_of(words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    def seen(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> Any:
        raise ParserSeen(parser)

    monkeypatch.setattr(CommandParser, "parse_known_args", seen)
    with pytest.raises(ParserSeen) as carried:
        import_module(COMMANDS[words[0]][0]).main(words[1:])
    monkeypatch.undo()
    return carried.value.parser


def actions_of(parser: argparse.ArgumentParser, verb: str) -> Iterator[tuple[str, argparse.Action]]:
    """Name and action of each argument, those of sub-commands too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from actions_of(below, f"{verb} {name}")
        else:
            yield f"{verb} {action.option_strings[0] if action.option_strings else action.dest}", action


def numbers_of(parser: argparse.ArgumentParser, verb: str) -> Iterator[tuple[str, argparse.Action]]:
    """Name and action of each argument that takes a number."""
    for name, action in actions_of(parser, verb):
        if callable(action.type) and any(is_number(read(action, text)) for text in ("1", "16", "1,1,1")):
            yield name, action


NO_NAMESPACES = ("bad name", "2left", "a//b", "a\nb", "ä", "🤖", "../up", "n" * 300, "-1")


@pytest.mark.process
def test_every_verb_refuses_what_cannot_be_a_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()
    for verb in (verb for verb in COMMANDS if verb != "bench"):
        for name, action in actions_of(parser_of([verb], monkeypatch), verb):
            if name.endswith("--namespace"):
                seen.add(verb)
                assert [read(action, text) for text in ("", "left", "/lab/left")] == ["", "left", "/lab/left"]
                for text in NO_NAMESPACES:
                    refused = read(action, text)
                    assert isinstance(refused, argparse.ArgumentTypeError), f"{name} takes {text!r:.20}"
                    assert "\n" not in str(refused)
    assert {"say", "demo", "speed", "home", "replay", "doctor", "recover", "confirm", "calibrate"} <= seen


def read(action: argparse.Action, text: str) -> Any:
    """What an argument makes of a text; the error where it refuses it."""
    try:
        return action.type(text)  # type: ignore[operator,misc]
    except (argparse.ArgumentTypeError, ValueError, TypeError) as error:
        return error


def is_number(value: Any) -> bool:
    values = value if isinstance(value, tuple) else [value]
    return not isinstance(value, Exception) and any(type(one) in (int, float) for one in values)


WORDS = [[verb] for verb in COMMANDS if verb != "bench"] + [["bench", name] for name in BENCHMARKS]


@pytest.mark.process  # some verbs import what starts one
@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_number_of_a_verb_has_bounds(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, action in numbers_of(parser_of(words, monkeypatch), " ".join(words)):
        for text in NO_NUMBERS:
            refused = read(action, text)
            if text == "-1" and name in MAY_BE_NEGATIVE:
                assert not isinstance(refused, Exception)
                continue
            assert isinstance(refused, argparse.ArgumentTypeError), f"{name} takes {text[:20]!r} as {refused!r:.100}"
            assert len(str(refused)) < 200, name
            assert "\n" not in str(refused)


@pytest.mark.process
def test_the_walk_finds_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        name for verb in ("calibrate", "record", "say") for name, _ in numbers_of(parser_of([verb], monkeypatch), verb)
    }
    assert {"calibrate board --columns", "calibrate check --max-mm", "record --episodes", "say --timeout"} <= found
