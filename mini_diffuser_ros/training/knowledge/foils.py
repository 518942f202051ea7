"""Sentences to learn familiarity from: some that mean a taught task in other words, and some that mean none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

from mini_diffuser_ros.training.knowledge.templates import Slots, find_slots
from mini_diffuser_ros.training.knowledge.wordings import (
    FUNCTION_WORDS,
    Wordings,
    all_of,
    choices_in,
    did,
    doing,
    one_of,
    worded,
)

_COMMAND_WORDS = 9  # at most, of a sentence that another is built around
_TRIES = 20
_ASIDE = 0.15
_FRAME = 0.15
_SLIP = 0.1
_OFTEN = 5  # templates
_SHORTEST = 6  # templates that are said after the name of their task
_BEFORE_THING = re.compile(r"(\w+) (?:\w+ )?(?:the |that |this )?\{")
_MOST_CHOICES = 12  # words that add to how often a line is drawn
_NEVER: tuple[str, ...] = (
    "don't",
    "do not",
    "never",
    "dont",
    "please don't",
    "you must not",
    "you shouldn't",
    "avoid to",
    "refuse to",
)
_NEVER += ("by no means", "no one may", "I don't want you to", "I forbid you to", "there is no need to", "not yet,")
_NEVER += ("you cannot", "we won't", "nobody should", "under no circumstances", "better not", "don't you dare")
_NOT = (
    (r"\bwant\b", "don't want"),
    (r"\bneed\b", "don't need"),
    (r"\blike\b", "don't like"),
    (r"\b(should|must|shall|ought)\b", r"\1 not"),
    (r"\b(is|are)\b", r"\1 not"),
    (r"\b(goes|belongs|sits|rests|needs|wants|gets)\b", r"never \1"),
    (r"\bplease\b", "please don't"),
    (r"\bto (?=[a-z]+ (the|a|on|it))", "not to "),
    (r"\b(in|into|on|onto|inside|atop) the\b", r"not \1 the"),
    (r"\bthe \{", "anything but the {"),
    (r"\bthe \{", "everything except the {"),
    (r"\bthe \{", "not the {"),
    (r"\bthe \{", "no {"),
    (r"$", ", not"),
    (r"$", "? no"),
    (r"$", ", or rather don't"),
)
_MANY: tuple[str, ...] = (
    "both",
    "all",
    "all the",
    "three",
    "two",
    "every",
    "each",
    "no",
    "neither",
    "five",
    "any of the",
    "several",
)
_MANY += (
    "a dozen",
    "none of the",
    "all of the",
    "both of the",
    "most of the",
    "half of the",
    "ten",
    "either",
    "your own",
)
_OF_ONE = ("every", "each", "no", "neither", "either", "your own")
_AND = (
    " and ",
    " and then ",
    ", then ",
    " or ",
    " before you ",
    " after you ",
    "; ",
    ". Then ",
    ", or else ",
    " while you ",
)
_IN_OR_ON = re.compile(
    r"\b(?:(?:on|to) (?:the )?top of|atop|onto|into|inside|upon|over to|over|above|on|in|to)\b"
    r"(?= (?:the|a|this|that|\{))"
)


@dataclass(frozen=True)
class TaughtTask:
    """What is known of one task's sentences.

    Attributes:
        slots: words of them that stand for each other.
        lines: what is left of them; those of one line of more sentences together.
        commands: those templates that begin with a verb and are short.
        things: noun phrases with slots in them, as templates, that follow a ``the``.
        places: other nouns that follow a ``the``.
        nouns: single words of things and places.
    """

    slots: Slots
    lines: tuple[tuple[str, ...], ...]
    commands: tuple[str, ...]
    things: tuple[str, ...]
    places: tuple[str, ...]
    nouns: tuple[str, ...]

    @cached_property
    def templates(self) -> tuple[str, ...]:
        """Of all lines, each once."""
        return tuple(dict.fromkeys(template for line in self.lines for template in line))


def taught_task(sentences: Sequence[str], further: Sequence[str] = (), name: str = "") -> TaughtTask:
    """What the sentences of a task have in common.

    Args:
        sentences: that demonstrations carry.
        further: that mean the same; they have no part in finding the slots. Of words in parentheses, with bars between
            them, one is said.
        name: of the task; to say it before what is meant is one more way to ask, and one more line.
    """
    slots = find_slots(sentences)
    taught = dict.fromkeys((slots.template(sentence),) for sentence in sentences)
    random = Random(0)
    lines = [*taught, *(tuple(map(slots.template, all_of(line, random))) for line in further)]
    templates = tuple(dict.fromkeys(template for line in lines for template in line))
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
    if name:
        lines.append(_after_name(name, [template for (template,) in taught]))
    return TaughtTask(slots, tuple(lines), commands, common_things, common_places, nouns)


def _after_name(name: str, templates: Sequence[str]) -> tuple[str, ...]:
    """The shortest templates after the name of their task, as somebody says it who has read it."""
    said = " ".join(name.lower().replace("_", " ").split())
    shortest = sorted(templates, key=lambda template: len(template.split()))[:_SHORTEST]
    named = {tuple(re.findall(r"\{\d+\}", template)) for template in shortest}
    shortest += [slot for slots in named for slot in slots if len(named) == len(slots) == 1]
    return tuple(f"{said}{colon} {template}" for template in dict.fromkeys(shortest) for colon in ("", ":"))


def _nouns(templates: Collection[str]) -> set[str]:
    """Words that follow what fills a slot, and those that often follow a ``the``."""
    after = Counter(noun for template in templates for noun in re.findall(r"\bthe (\w+)", template))
    often = {noun for noun, count in after.items() if count >= _OFTEN}
    return often | {noun for template in templates for noun in re.findall(r"\} (\w+)", template)}


class SentenceMaker:
    """Draws sentences that mean what was taught, and sentences that do not.

    Args:
        tasks: what was taught.
        wordings: of everybody.
        random: the source of all that is drawn.
        taught: templates that no foil may be of; those of the tasks by default.
    """

    def __init__(
        self, tasks: Sequence[TaughtTask], wordings: Wordings, random: Random, taught: Collection[str] | None = None
    ) -> None:
        self._tasks = tasks
        self._wordings = wordings
        self._random = random
        self._taught = {one for task in tasks for one in task.templates} if taught is None else taught
        self._nouns = _nouns(self._taught)
        self._verbs = {word for one in self._taught for word in _BEFORE_THING.findall(one)} - FUNCTION_WORDS
        self._weights: dict[Sequence[str], list[int]] = {}

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
            "talk": lambda: self._about(words.general),
            "everyday": lambda: self._about(words.everyday),
            "names": lambda: self._about(words.listed),
            "other task": lambda: self._about(words.commands),
            "other language": self._foreign,
            "other object": self._other_object,
            "other kind": self._other_kind,
            "other verb": self._other_verb,
            "other relation": self._other_relation,
            "other act": lambda: self._about(words.other_acts),
            "negation": lambda: self._about(words.negations),
            "negated": self._negated,
            "quantity": self._quantity,
            "other word": self._other_word,
            "two commands": self._two,
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
        return worded(self._line(wordings), self._parts())

    def _line(self, lines: Sequence[str]) -> str:
        """One of some lines, those with many words to choose from more often."""
        if lines not in self._weights:
            self._weights[lines] = [min(_MOST_CHOICES, choices_in(line)) for line in lines]
        return one_of(self._random.choices(lines, self._weights[lines])[0], self._random)

    def _object(self) -> str:
        return self._line(self._wordings.near if self._chance(0.5) else self._wordings.objects)

    def _parts(self) -> dict[str, str]:
        """What the braces of wordings stand for, of one task."""
        task = self._task()
        kind, act = (self._line(lines) for lines in (self._wordings.kinds, self._wordings.verbs))
        parts = {"object": self._object(), "kind": kind, "act": act}
        if task.commands:
            command = task.slots.filled(self._random.choice(task.commands), self._random)
            parts |= {"command": command, "doing": doing(command), "did": did(command), "verb": command.split()[0]}
        if task.slots.classes:
            fillers = self._random.choice(task.slots.classes)
            some = self._random.sample(fillers, min(3, len(fillers)))
            parts |= dict(zip(("name", "name2", "name3"), some, strict=False))
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
                if (other := self._object()) in self._nouns:
                    return None
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
        other = self._object() if is_noun else self._line(self._wordings.kinds)
        if other in self._nouns:
            return None
        return task.slots.filled(sentence.replace(self._random.choice(places), other, 1), self._random)

    def _other_verb(self) -> str | None:
        """Something else is done: with a thing that was taught, or in the place of a taught verb."""
        parts = self._parts()
        if "thing" not in parts:
            return None
        act = f"{parts['act']} the {parts['thing']}"
        if parts["act"].split()[0] in self._verbs:
            return None
        if "command" in parts and self._chance(0.5):
            act = f"{parts['act']} {parts['command'].partition(' ')[2]}"
        return self._framed(act) if self._chance(0.4) else act

    def _other_word(self) -> str | None:
        """A short taught sentence with one word in the place of another."""
        task = self._task()
        words = self._random.choice(task.templates).split()
        places = [n for n, word in enumerate(words) if word.isalpha() and word not in FUNCTION_WORDS]
        if not places or len(words) > _COMMAND_WORDS:
            return None
        lists = (self._wordings.verbs, self._wordings.near, self._wordings.objects)
        other = self._line(self._random.choice(lists))
        if other in self._nouns or other.split()[0] in self._verbs:
            return None
        words[self._random.choice(places)] = other
        return task.slots.filled(" ".join(words), self._random)

    def _negated(self) -> str | None:
        """A taught sentence that says not."""
        task = self._task()
        template = self._random.choice(task.templates)
        ways = [(found, no) for found, no in _NOT if re.search(found, template)]
        if template in task.commands:
            ways += [(r"^", f"{no} ") for no in _NEVER]
        if not ways:
            return None
        found, no = self._random.choice(ways)
        return task.slots.filled(re.sub(found, no, template, count=1), self._random)

    def _quantity(self) -> str | None:
        """Another number of things than the one that was taught."""
        task = self._task()
        template = self._random.choice(task.templates)
        many = self._random.choice(_MANY)
        found = re.search(r"\b(?:the|a|that|this) (\{\d+\})( \w+)?", template)
        if found is None or (noun := (found.group(2) or "").strip()) in FUNCTION_WORDS:
            return None
        named = f"{found.group(1)} {noun}{'' if many in _OF_ONE else 's'}".strip()
        return task.slots.filled(f"{template[: found.start()]}{many} {named}{template[found.end() :]}", self._random)

    def _two(self) -> str | None:
        """Two things are wanted."""
        one, other = self._parts(), self._parts()
        if "command" not in one or "command" not in other:
            return None
        either = self._random.choice(_AND)
        return f"{one['command']}{either}{other['command']}"

    def _foreign(self) -> str:
        """Words of another language, some with a name that was taught."""
        words = self._line(self._wordings.foreign).split()
        if (name := self._parts().get("name")) and self._chance(0.7):
            words.insert(self._random.randrange(len(words) + 1), name)
        return " ".join(words)

    def _other_relation(self) -> str | None:
        """Things are brought somewhere else than into or onto one another."""
        task = self._task()
        template = self._random.choice(task.templates)
        found = list(_IN_OR_ON.finditer(template))
        if not found:
            return None
        start, end = self._random.choice(found).span()
        sentence = f"{template[:start]}{self._line(self._wordings.relations)}{template[end:]}"
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
        if self._chance(0.6):
            words += self._random.choice(self._wordings.general).split()
        else:
            some = [self._random.choice(words) for _ in range(self._random.randint(1, 2))]
            words = some * self._random.randint(2, 4)
        self._random.shuffle(words)
        return " ".join(words[: self._random.randint(3, 10)])

    # Words around

    def _framed(self, command: str) -> str:
        values = {"command": command, "doing": doing(command)}
        return worded(self._line(self._wordings.frames), values) or command

    def _with_asides(self, sentence: str) -> str:
        if self._chance(_ASIDE):
            separator = self._random.choice((", ", ", ", " ", " - ", ". "))
            sentence = f"{self._line(self._wordings.asides_before)}{separator}{sentence}"
        if self._chance(_ASIDE):
            separator = self._random.choice((", ", " ", " ", ". "))
            sentence = f"{sentence.rstrip('.?!')}{separator}{self._line(self._wordings.asides_after)}"
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
