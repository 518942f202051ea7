"""Sentences to learn familiarity from: some that mean a taught task in other words, and some that mean none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from mini_diffuser_ros.training.knowledge.templates import Slots, find_slots
from mini_diffuser_ros.training.knowledge.wordings import FUNCTION_WORDS, Wordings, did, doing, worded

_COMMAND_WORDS = 9  # at most, of a sentence that another is built around
_TRIES = 20
_ASIDE = 0.15
_FRAME = 0.15
_SLIP = 0.1
_IN_OR_ON = re.compile(
    r"\b(?:(?:on|to) (?:the )?top of|atop|onto|into|inside|upon|over to|over|above|on|in|to)\b"
    r"(?= (?:the|a|this|that|\{))"
)


@dataclass(frozen=True)
class TaughtTask:
    """What is known of one task's sentences.

    Attributes:
        slots: words of them that stand for each other.
        templates: what is left of them.
        commands: those templates that begin with a verb and are short.
        things: noun phrases with slots in them, as templates, that follow a ``the``.
        places: other nouns that follow a ``the``.
        nouns: single words of things and places.
    """

    slots: Slots
    templates: tuple[str, ...]
    commands: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    nouns: tuple[str, ...]


def taught_task(sentences: Sequence[str], further: Sequence[str] = ()) -> TaughtTask:
    """What the sentences of a task have in common.

    Args:
        sentences: that demonstrations carry.
        further: that mean the same; they have no part in finding the slots.
    """
    slots = find_slots(sentences)
    templates = tuple(dict.fromkeys(slots.template(sentence) for sentence in (*sentences, *further)))
    firsts = Counter(template.split()[0] for template in templates)
    commands = tuple(
        template
        for template in templates
        if (first := template.split()[0]).isalpha()
        and first not in FUNCTION_WORDS
        and (firsts[first] > 1 or len(templates) < len(firsts) + 5)
        and len(template.split()) <= _COMMAND_WORDS
        and not re.search(r"[,.?!;:]", template)
    )
    things: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for template in templates:
        for filler, noun in re.findall(r"\bthe (\{\d+\})(?: (\w+))?", template):
            things[filler if not noun or noun in FUNCTION_WORDS else f"{filler} {noun}"] += 1
        places.update(noun for noun in re.findall(r"\bthe (\w+)", template) if noun not in FUNCTION_WORDS)
    often = max(1, len(templates) // 100)
    common_things = tuple(thing for thing, count in things.most_common() if count >= often)
    common_places = tuple(place for place, count in places.most_common() if count >= often)
    nouns = tuple(dict.fromkeys([*(thing.split()[-1] for thing in common_things), *common_places]))
    return TaughtTask(slots, templates, commands, common_things, common_places, nouns)


class SentenceMaker:
    """Draws sentences that mean what was taught, and sentences that do not.

    Args:
        tasks: what was taught.
        wordings: of everybody.
        random: the source of all that is drawn.
        taught: templates that no foil may be of; those of the tasks by default.
    """

    def __init__(
        self, tasks: Sequence[TaughtTask], wordings: Wordings, random: Random, taught: Container[str] | None = None
    ) -> None:
        self._tasks = tasks
        self._wordings = wordings
        self._random = random
        self._taught = {one for task in tasks for one in task.templates} if taught is None else taught

    def taught(self, task: TaughtTask, template: str) -> str:
        """A sentence of a template, in words around it that change nothing."""
        sentence = task.slots.filled(template, self._random)
        if template in task.commands and self._chance(2 * _FRAME):
            sentence = self._framed(sentence)
        sentence = self._with_asides(sentence)
        typed = self._slipped(sentence)
        same = len({len(re.findall(r"\{\d+\}", task.slots.template(one))) for one in (sentence, typed)}) == 1
        return typed if same else sentence

    def foils(self) -> Mapping[str, Callable[[], str | None]]:
        """What makes a sentence that nobody taught, by its family; None where the tasks offer nothing for it."""
        words = self._wordings
        return {
            "talk": lambda: self._random.choice(words.general),
            "other task": lambda: self._random.choice(words.commands),
            "other language": lambda: self._random.choice(words.foreign),
            "other object": self._other_object,
            "other kind": self._other_kind,
            "other verb": self._other_verb,
            "other relation": self._other_relation,
            "other act": lambda: self._about(words.other_acts),
            "negation": lambda: self._about(words.negations),
            "question": lambda: self._about(words.questions),
            "statement": lambda: self._about(words.statements),
            "mixed tasks": self._mixed,
            "fragment": self._fragment,
            "salad": self._salad,
        }

    def foil(self, make: Callable[[], str | None]) -> str | None:
        """A foil of one family with words around it, None if it came out as something taught or as nothing."""
        for _ in range(_TRIES):
            sentence = make()
            if sentence and not self.is_taught(sentence):
                return self._slipped(self._with_asides(sentence) if self._chance(0.5) else sentence)
        return None

    def is_taught(self, sentence: str) -> bool:
        """Whether a sentence is of a taught template, but for case and punctuation."""
        bare = sentence.lower().strip(" .?!")
        return any(task.slots.template(bare) in self._taught for task in self._tasks)

    # Foils

    def _about(self, wordings: Sequence[str]) -> str | None:
        """A wording about something that was taught."""
        return worded(self._random.choice(wordings), self._parts())

    def _parts(self) -> dict[str, str]:
        """What the braces of wordings stand for, of one task."""
        task = self._task()
        parts = {}
        if task.commands:
            command = task.slots.filled(self._random.choice(task.commands), self._random)
            parts = {"command": command, "doing": doing(command), "did": did(command), "verb": command.split()[0]}
        phrases = [*task.things, *task.places]
        if phrases:
            thing = self._random.choice(task.things or task.places)
            both = task.slots.filled(f"{thing}|{self._random.choice(phrases)}", self._random).split("|")
            parts |= {"thing": both[0], "place": both[1]}
        return parts

    def _other_object(self) -> str | None:
        """Some of the things that a taught sentence names are others."""
        task = self._task()
        if not task.nouns:
            return None
        sentence = self._random.choice(task.templates)
        named = [noun for noun in task.nouns if re.search(rf"(?<!\w){re.escape(noun)}(?!\w)", sentence)]
        if not named:
            return None
        certain = self._random.choice(named)
        for noun in named:
            if noun == certain or self._chance(0.3):
                other = self._random.choice(self._wordings.objects)
                sentence = re.sub(rf"(?<!\w){re.escape(noun)}(?!\w)", other, sentence)
        return task.slots.filled(sentence, self._random)

    def _other_kind(self) -> str | None:
        """A word that fills a slot is none of those that were taught."""
        task = self._task()
        sentence = self._random.choice(task.templates)
        places = re.findall(r"\{\d+\}", sentence)
        if not places:
            return None
        is_noun = task.things[:1] == (places[0],)
        other = self._random.choice(self._wordings.objects if is_noun else self._wordings.kinds)
        return task.slots.filled(sentence.replace(self._random.choice(places), other, 1), self._random)

    def _other_verb(self) -> str | None:
        parts = self._parts()
        if "thing" not in parts:
            return None
        act = f"{self._random.choice(self._wordings.verbs)} the {parts['thing']}"
        return self._framed(act) if self._chance(0.4) else act

    def _other_relation(self) -> str | None:
        """Things are brought somewhere else than into or onto one another."""
        task = self._task()
        template = self._random.choice(task.templates)
        found = list(_IN_OR_ON.finditer(template))
        if not found:
            return None
        start, end = self._random.choice(found).span()
        sentence = f"{template[:start]}{self._random.choice(self._wordings.relations)}{template[end:]}"
        return task.slots.filled(sentence, self._random)

    def _mixed(self) -> str | None:
        """The slots of one task in the words of another."""
        if len(self._tasks) < 2:
            return None
        one, other = self._random.sample(self._tasks, 2)
        phrases = [*other.things, *other.places]
        if not phrases:
            return None
        sentence = self._random.choice(one.templates)
        targets = [phrase for phrase in (*one.things, *one.places) if phrase in sentence]
        if not targets:
            return None
        strange = other.slots.filled(self._random.choice(phrases), self._random)
        return one.slots.filled(sentence.replace(self._random.choice(targets), strange, 1), self._random)

    def _fragment(self) -> str | None:
        """Words of a taught sentence up to where it begins to name something, or a name alone."""
        task = self._task()
        sentence = self._random.choice(task.templates)
        before, brace, _ = sentence.partition("{")
        return before.strip() if brace and before.strip() else None

    def _salad(self) -> str:
        """Words in any order."""
        task = self._task()
        words = task.slots.filled(self._random.choice(task.templates), self._random).split()
        if self._chance(0.5):
            words += self._random.choice(self._wordings.general).split()
        if self._chance(0.3):
            some = [self._random.choice(words) for _ in range(self._random.randint(1, 2))]
            words = some * self._random.randint(2, 4)
        self._random.shuffle(words)
        return " ".join(words[: self._random.randint(3, 10)])

    # Words around

    def _framed(self, command: str) -> str:
        values = {"command": command, "doing": doing(command)}
        return worded(self._random.choice(self._wordings.frames), values) or command

    def _with_asides(self, sentence: str) -> str:
        if self._chance(_ASIDE):
            separator = self._random.choice((", ", ", ", " ", " - ", ". "))
            sentence = f"{self._random.choice(self._wordings.asides_before)}{separator}{sentence}"
        if self._chance(_ASIDE):
            separator = self._random.choice((", ", " ", " ", ". "))
            sentence = f"{sentence.rstrip('.?!')}{separator}{self._random.choice(self._wordings.asides_after)}"
        return sentence

    def _slipped(self, sentence: str) -> str:
        """As it is typed: capitals, a full stop, a letter that is missing or doubled."""
        if self._chance(0.3):
            sentence = sentence[:1].upper() + sentence[1:]
        if self._chance(0.2) and sentence[-1:].isalnum():
            sentence += self._random.choice(".!.")
        if self._chance(_SLIP) and len(sentence) > 12:
            place = self._random.randrange(1, len(sentence) - 1)
            if sentence[place].isalpha():
                kept = self._random.choice(("", 2 * sentence[place]))
                sentence = sentence[:place] + kept + sentence[place + 1 :]
        if self._chance(_SLIP / 2):
            sentence = re.sub(r"\bthe ", "", sentence)
        return sentence

    def _task(self) -> TaughtTask:
        return self._random.choice(self._tasks)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share
