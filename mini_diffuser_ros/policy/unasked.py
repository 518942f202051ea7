"""What makes a sentence ask for nothing, or not for one thing, once and now.

To a sentence encoder "press the red button if it glows", "you pressed the red button" and "press the red button
tomorrow" are nearly "press the red button", so such words are looked for, as those that deny are. A policy does once,
now, what it was taught: whether a lamp glows it cannot tell, whoever praises or announces wants nothing done, of two
things that are asked for at once it would do one, and "put the bowl into the lime" it would do the other way round.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mini_diffuser_ros.policy.denials import (
    NO_VERBS,
    any_of,
    begun,
    is_form_of,
    longest_first,
    plain_letters,
    words_in,
    words_of,
)
from mini_diffuser_ros.policy.doers import others_do, quotations, reported

_WHO = "the|a|an|this|that|these|those|my|your|our|his|her|it|i|we|you|they|he|she|there|everyone|everybody|someone"
_NUMBER = "two|three|four|five|six|seven|eight|nine|ten|twenty|thirty|half|several|many|multiple|some|few|couple"
_DIGITS = r"\d+(?:[.,]\d+)?"
_SPAN = "seconds?|secs?|minutes?|mins?|hours?|days?|weeks?|months?"
_DAY = "monday|tuesday|wednesday|thursday|friday|saturday|sunday|morning|afternoon|evening|night|week|month|year"
_GOOD = (
    "nice|great|good|well|excellent|lovely|amazing|brilliant|superb|fine|fantastic|beautiful|wonderful|neat|splendid|"
    "perfect|impressive|awesome|outstanding"
)
_INTO = "on|onto|on top of|upon|atop|over|in|into|inside|to"
_KIND = f"{_GOOD}|kind|clever|wise|smart|sweet|brave|thoughtful|generous|foolish|silly|stupid|careless|wrong|rude"
_YOURS = (
    "please|be able|can|could|will|would|may|might|like|wish|want|love me|mind|don't|do not|wouldn't|would not|able|"
    "free|ready|done|finished|so kind|so good|be so|be kind|kind enough|good enough|willing|there|up to|"
    "up for|know how|happy|good to go|hear this|hear me|caught your|around|back|get around|look|see|find|"
    "found|spot|spotted|reach|reached|come across|get to|get hold|have|got|hold|grasp|grasped|grab|grabbed|"
    "pick|picked|lift|lifted|take|taken|locate|located"
)
"""What whoever is asked may be, wish or do on the way."""

_NOTHING_DEPENDS: Final = re.compile(
    rf"\b(?:if|when|whenever|once|after|as soon as|as long as|should) (?:you|u)(?: are|'re| have|'ve| would| will|'d)? "
    rf"(?:\w+ly )?(?:{_YOURS}|(?:get|find|had) (?:a|the|some) )|"
    r"\b(?:if|when|whenever|as soon as) (?:it's |it is |that's |that is |you're |at all |this is )?"
    r"(?:possible|ok|okay|alright|all right|convenient|no trouble|no bother|fine|allowed|easy|easier|ready|necessary|"
    r"needed|need be|not too|it suits|it's not|it is not|it isn't|it wouldn't|it would not|i may|i might|i could)\b|"
    rf"\b(?:{_GOOD}|kind|helpful|help|happy|glad|grateful|thankful|pleased|delighted|appreciated?|love|like|best|better|"
    r"okay|ok|alright|all right|possible|bother|favou?r|day|owe|world|trouble|problem|too much|"
    r"mind|cool|ideal|super|thank you|wonder|wondering|see|check|ask|asking|know)(?: \w+){0,4} if\b|"
    r"\b(?:what|even|as) if\b|\bif (?:only|not|so|anything)\b|\bif (?:anybody|anyone|somebody|someone) asks\b|"
    r"(?<!only )\bwhen i (?:say|was|tell)\b|"
    r"\b(?:when|once) (?:that|this|it)(?:'s| is) (?:done|over)\b|\bas long as you (?:need|want|like)\b|"
    r"\b(?:when|once|after|as soon as) (?:you(?:'re| are) (?:above|over|at|near)|"
    r"(?:it|the [\w ]+?)(?:'s| is) (?:in|inside|between) (?:your|the) (?:hand|gripper|fingers|jaws)|"
    r"it(?:'s| is| has been) (?:lifted|picked up|grasped|gripped|held|up))\b|"
    r"\bif (?:that works|it pleases|we (?:could|may|might))\b|"
    r"\b(?:if|when|once|as soon as) (?:the|your) (?:arm|hand|gripper|robot|fingers?|jaws?) (?:is|are|has|have)\b|"
    r"(?:n't|\bnot) (?:care|matter|mind)\b.*\b(?:as|so) long as\b|"
    r"\bin case (?:you|anyone|anybody) (?:missed|forgot|wonder|wondered|didn't|did not|were|are)\b"
)
"""Ways to ask with an ``if`` or a ``when`` that what is to be done does not depend on."""

_DEPENDS: Final = re.compile(
    r"\b(if|in case|provided|providing|assuming|supposing|on (?:the )?condition|depending|whenever|"
    r"(?:as|so) long as|as soon as|(?:each|every|any) time|in the event|only when|"
    rf"(?:up)?on (?:my|the) (?:signal|mark|command)|wait (?:for(?! no)|until|till|{_NUMBER}|\d+)|"
    r"while (?:the|it|he|she|they)|(?:after|following) the (?:beep|signal|bell|lamp|light|whistle|alarm|tone))\b|"
    rf"\b(the (?:moment|instant|second)) (?:that )?(?:{_WHO})\b|\b(until|till) (?!it\b|you\b|an?\b)(?:{_WHO})\b|"
    rf"\b(when|once) (?:{_WHO})\b|\b(after) (?:i|we|they|he|she|it|someone|somebody|you)\b(?!,)|"
    r"(?:^|[,;:.!?]\s*)(imagine|picture|suppose|envisage|envision|visuali[sz]e)\b|"
    rf"(?:^|[,;:]\s*)(should|were|had) (?:{_WHO})\b"
)
_LATER: Final = re.compile(
    r"(?<!for )(?<!from )(?<!dinner )\b(tomorrow|tonight|later (?:on|today)|this (?:afternoon|evening)|"
    r"in the (?:morning|afternoon|evening)|(?<!it )(?<!them )(?<!that )(?<!or )(?<!home )(?<!this )later|"
    r"after (?:lunch|dinner|supper|breakfast|work|class|school|the (?:break|meeting|class|lesson))|"
    r"on (?:christmas|easter|new year|my birthday|your birthday)(?: eve| day)?|"
    r"someday|one day|(?:some|any) other (?:time|day)|another (?:time|day)|next time|at some point|"
    r"(?:after|during|at|over) the (?:weekend|holidays?|vacation)|"
    r"come (?:christmas|easter|spring|summer|autumn|winter)|"
    rf"(?:{_NUMBER}|{_DIGITS}|an?) (?:{_SPAN}) from now|"
    rf"give (?:it|me|us|him|her|them) (?:{_NUMBER}|{_DIGITS}|another|an) (?:{_SPAN})|"
    rf"next (?:{_DAY})|(?<!bought )(?<!got )(?<!found )(?<!made )(?<!came )on (?:{_DAY})s?|(?:every|each) (?:{_DAY})|"
    r"the day after|"
    rf"(?:in|after) (?:about |another |exactly )?(?:(?:an?|{_NUMBER}|{_DIGITS})(?: of)? )+(?:{_SPAN})"
    r"(?<!a minute)(?<!a second)(?<!a sec)(?<!few seconds)(?<!few minutes)(?<!couple of seconds)|"
    r"at (?:noon|midnight|dawn|dusk|\d{1,2}(?::\d\d)?(?: ?[ap]\.?m\b)|\d{1,2}[:.]\d\d|\w+ o'clock|"
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve))\b"
)
_OFTEN: Final = re.compile(
    rf"\b(twice|thrice|(?:(?:{_NUMBER}|\d+|hundred|dozen)(?: of| a)? )+times|repeatedly|over and over|"
    r"again,? and again|time and (?:time )?again|(?:double|triple)[- ]?(?:click|tap|press|push|hit)\w*|"
    r"continually|continuously|non-?stop|x ?\d+|\d+ ?x|a (?:second|third|fourth|fifth) time|"
    rf"for (?:about |another )?(?:(?:an?|{_NUMBER}|{_DIGITS})(?: of)? )+(?:{_SPAN})"
    r"(?<!a second)(?<!a sec)(?<!a minute))\b|"
    r"\b((?:keep|go) (?:on )?(\w+ing))\b"
)
_ASKED: Final = re.compile(
    r"\b(?:ask|asked|say|tell|told|said|repeat|think|thought|saying|asking|telling)\b(?: \w+){0,3} $"
)
"""Said before it, it is the asking that happens twice."""

_PRAISE: Final = re.compile(
    rf"\b((?:{_GOOD}) (?:work|job|going|one|move|effort|done)(?: there| today| just now)?"
    r"(?: (?:on|with|at|in|for|by|of))?) \w+ing\b|"
    r"\b((?:congratulations|congrats|kudos|bravo|cheers|props|hats off|well done|respect|applause|thanks|thank you)"
    r"(?: to you)?(?: a lot| so much| very much| again)? (?:for having|"
    r"(?<!thanks )(?<!thank you )(?:for|on|to))) \w+(?:ing|ed)\b|"
    rf"\b((?:was|is|it's|that's|how|so) (?:\w+ly )?(?:{_KIND}) of you) to\b|"
    rf"\b((?:{_GOOD}|nicely|proud|glad|happy|impressed|love|loved|admire|like) (?:of )?how (?:\w+ )?"
    r"(?:you|i|we|they|he|she)) \w+"
)
_PERSON: Final = "i|you|he|she|they|someone|somebody|everyone|everybody|the (?:robot|arm|hand|gripper)"
_IS: Final = "'m| am|'s| is|'re| are"
_SUBJECT: Final = (
    rf"(?:{_PERSON}|we|"
    r"(?:the|a|another) (?:boy|girl|man|woman|child|kid|teacher|student|guy|person|dog|cat)|"
    r"(?:my|your|our|his|her|their) \w+)"
)
_DID: Final = re.compile(
    rf"\b{_SUBJECT} ((?:(?:have|has|had|just|already|also|finally|once|then|\w+ly) )*(\w+))(?! nothing\b)\b|"
    rf"\b{_SUBJECT}((?:'ve|'s|'d) (?:(?:just|already|also|finally|now|\w+ly) )*(\w+))(?! nothing\b)\b"
)
_WAS_DONE: Final = re.compile(
    r"\b((?:was|were|got|has been|have been|had been|is being|are being|has already been|had already been|is already|"
    r"are already|was already|has just been|was just) (\w+))\b"
)
_WANTED: Final = re.compile(
    r"\b(?:if|wish|wished|time|rather|make sure|making sure|ensure|see|sure|want|wants|wanted|need|needs|like|love|"
    r"until|till|prefer|hope|hoping|glad|happy|let|supposed|meant|told|asked|going)\b"
)
"""Said before it, what would be told of is wanted: "I'd love it if you pressed red"."""

_DOING: Final = re.compile(rf"\b(?:{_PERSON})((?:{_IS}| was| were) (?:\w+ly |just |already |still )?(\w+ing))\b")
_ALREADY: Final = re.compile(r"\b(?:is|are|'s|'re) (already (?:in|on|inside|into|onto|under|down|there))\b")
_COULD_HAVE: Final = re.compile(r"\b((?:could|should|would|might|must) (?:not )?have (\w+))\b")
_GLAD: Final = re.compile(
    r"\b((?:proud|glad|happy|pleased|relieved|delighted|appreciate|well done|bravo|good job|nice work)[ ,!.]+"
    rf"(?:that )?{_SUBJECT} (\w+))\b"
)
_ANNOUNCED: Final = re.compile(
    r"\b((?:i|we|he|she|they|someone|somebody|(?:my|our|his|her|their) \w+)(?:'ll| will| shall|"
    rf"(?:{_IS}) (?:going|about|bound|likely) to|(?:{_IS})? ?gonna|"
    r" (?:plan|intend|mean) to)|let me|allow me to|(?:shall|should|may|must|do) i)"
    r" (?:\w+ly |just |now |then |be )*(\w+)\b"
)
_CODE: Final = re.compile(r"(<[/!\w]|[{}\[\]\\|]|(?<![-=])=(?!>)|(?<!\S)--?[a-z]\w*\b|\(\))")
"""What is written in no sentence; "lime -> bowl" is one."""

_ASIDE: Final = 5  # words
_STATES: Final = re.compile(rf"\b(?:is|was|are|were|has|have|had|'s|{_SUBJECT})\b|^\W*(?:the|a|an|my|our|your)\b")
_CLAUSE: Final = re.compile(
    r"[,;:.!?]+(?:\s+|$)|(?<!from)\s+(?=so\b|but\b|now\b)|"
    r"\s+(?=and (?:i (?:need|want|would)|i'd|need|please|could|can|now|so|the)\b)|\s+[-\N{EN DASH}\N{EM DASH}]+\s+"
)
_ASKS: Final = re.compile(
    r"\b(?:can|could|will|would) (?:you|somebody|someone|we)\b|\bplease\b|\bi(?:'d| would)? (?:want|need|like|love)\b|"
    r"\blet's\b|(?:^|\band )need\b|^\W*(?:(?:and|but|so|then|please) )*(?:you )?(?:go and |just )*do (?:it|that|so)\b"
)

_GIVING: Final = words_in(
    "give bring fetch get find make put place build take set keep leave reach serve start have throw use move toss pass"
)
"""What is given to somebody: "get me the lime into the bowl"."""

_HAVE: Final = frozenset({"have", "see", "get"})  # "let me have red on blue" asks

_NO_ACTS: Final = NO_VERBS | {
    "hey", "look", "let", "let's", "i'd", "i'll", "it's", "next", "top", "using", "pressing", "do", "only", "you'd",
}  # fmt: skip
"""First words of sentences that do nothing."""

_MOVED: Final = "put|place|set|move|lay|drop|bring|stack|lift|take|carry|pick up"
_PARTLY: Final = re.compile(r"\b(?:of|between|among|amongst|from|there|there's|see|have|got|with|both)\b[\w ,]*$")
"""Said before two names, they are no two things to be done: "of red and blue, press red"."""

_USUAL: Final = 0.02  # share of a task's sentences from which on a word tells that the task is meant

_HAPPENED: Final = re.compile(r"\b(?:fell|rolled|slipped|was|were|went|came|\w+ed)\b[\w ]*$")
_GOING_TO: Final = re.compile(r"(?:going|looking)(?= (?:to|for)\b)")
_TAKEN_APART: Final = re.compile(r"\s+'(ve|s|d|m|re|ll)\b")
_RUN_TOGETHER: Final = re.compile(r"\b(i|you|we|they)(ve)\b")

_IRREGULAR: Final = {
    "hit": "hit", "put": "put", "set": "set", "laid": "lay", "brought": "bring", "took": "take", "taken": "take",
    "threw": "throw", "thrown": "throw", "slid": "slide", "built": "build", "cut": "cut", "shut": "shut",
    "swept": "sweep", "hung": "hang",
}  # fmt: skip
"""Forms of the past that no ``-ed`` tells."""

_OF_NOW: Final = frozenset({"hit", "put", "set", "cut", "shut"})  # as well: "now you put it in the bowl" asks


@dataclass(frozen=True)
class Unasked:
    """What says that a sentence does not ask for something to be done once and now.

    Attributes:
        words: of the sentence, in lower case.
        why: what they do, after them.
    """

    words: str
    why: str

    def __str__(self) -> str:
        return f"'{self.words}' {self.why}"


@dataclass(frozen=True)
class _WordsOfTwo:
    """Which words tell whether two names that are said belong to one task that was taught with two.

    Attributes:
        together: of all sentences that name two things.
        alone: of those that name one, and of no other.
        paired: usual in those that name two, and in no other.
    """

    together: frozenset[str]
    alone: frozenset[str]
    paired: frozenset[str]

    @classmethod
    def of(cls, taught: Sequence[str], names: re.Pattern[str]) -> _WordsOfTwo:
        """Those of taught sentences."""
        of_one, of_two = [], []
        for sentence in taught:
            named = names.findall(sentence)
            if len(set(named)) > 1:
                of_two.append((set(words_of(sentence)), named))
            elif named:
                of_one.append((set(words_of(sentence)), named))
        every = {word for _, named in (*of_one, *of_two) for name in named for word in name.split()}
        together = frozenset[str]().union(*(said for said, _ in of_two))
        single = frozenset[str]().union(*(said for said, _ in of_one))
        often = Counter(word for said, _ in of_two for word in said)
        paired = frozenset(word for word, count in often.items() if count >= _USUAL * len(of_two))
        return cls(together, single - together - every, paired - single - every - NO_VERBS - {"as"})

    def may_be_one(self, sentence: str, named: str) -> bool:
        """Whether a sentence that names two things may mean a task that was taught with both."""
        words = set(words_of(sentence))
        return set(named.split()) <= self.together and not (self.alone & words and not self.paired & words)


class UnaskedWords:
    """Finds what makes a sentence ask for nothing now; words with which something was taught do not.

    Args:
        sentences: that were taught.
        names: of things, of which a sentence says which it means, in lower case.
    """

    def __init__(self, sentences: Iterable[str], names: Iterable[str] = ()) -> None:
        taught = [_plain(sentence) for sentence in sentences]
        known = longest_first(names)
        self._names = any_of(known)
        firsts = {match[1] for sentence in taught if (match := re.match(r"\W*([\w']+)", sentence))}
        self._acts = frozenset(word for word in firsts - _NO_ACTS if not any(name.startswith(word) for name in known))
        self._words = _WordsOfTwo.of(taught, self._names)
        self._both = _both(self._names.pattern, self._acts)
        holders = _holders(taught, known)
        self._turned = _turned_round(self._names.pattern, holders)
        self._away = _taken_away(self._names.pattern, holders)
        self._stated = _stated(self._names.pattern)
        self._to_you = re.compile(rf"\b((?:{_any_word(self._acts - _GIVING)}) (?:you|me|us|him|her))\b")
        self._goes = re.compile(
            rf"{self._names.pattern}\b.* (?:(?:comes|is) next|"
            r"(?:goes|go|comes|belongs?|should (?:be|go)|needs? to (?:be|go)) (?:in|on|into|onto|to|back))\b"
        )
        self._of_it = re.compile(rf"\b{self._names.pattern}(?: \w+)?(?: (?:that|which))? ?$")
        self._exempt: frozenset[str] = frozenset()
        wordings = {self._names.sub("NAME", sentence): sentence for sentence in taught}.values()  # of any names
        self._exempt = frozenset(self._shape(found) for said in (*wordings, *known) for found in self._found(said))

    def read(self, sentence: str) -> Unasked | None:
        """The first words of a sentence because of which it asks for nothing now; None if it may ask."""
        plain = _plain(sentence)
        return next((found for found in self._found(plain) if self._shape(found) not in self._exempt), None)

    def _shape(self, found: Unasked) -> str:
        """What was found, whichever things it names."""
        return self._names.sub("NAME", found.words)

    def _found(self, plain: str) -> Iterator[Unasked]:
        clauses = _CLAUSE.split(plain)
        asking = [clause for clause in clauses if self.asks(clause)]
        asked = _NOTHING_DEPENDS.sub(lambda match: " " * len(match[0]), plain)
        for match in _DEPENDS.finditer(asked):
            before = _CLAUSE.split(asked[: match.start()])[-1]
            if not (asking and _said(match) in ("when", "once", "after") and _HAPPENED.search(before)):
                yield Unasked(_said(match), "makes it depend on something")
        yield from self._two(plain)
        yield from _all(self._turned, plain, "would move what other things are put into")
        yield from _all(_CODE, plain, "is written in no sentence")
        yield from _all(self._to_you, plain, "is done to somebody")
        yield from (Unasked(said, "tells of what was said") for said in reported(plain))
        yield from (Unasked(quoted, "is quoted") for quoted in quotations(plain) if self.asks(quoted))
        for clause in clauses:
            if clause in asking:
                yield from _all(self._away, clause, "takes something away")
            if not asking or clause in asking or _is_aside(clause):
                yield from self._said_of_itself(clause)
        if not asking:
            yield from self._told(plain)
            yield from _all(self._stated, plain, "tells where something is")
            by_others = (others_do(clause, self._acts - _HAVE, self._names) for clause in clauses)
            yield from (Unasked(said, "is of what somebody else does") for said in by_others if said)

    def _two(self, plain: str) -> Iterator[Unasked]:
        """Two things at once, where no task that was taught with both of them may be meant."""
        for match in self._both.finditer(plain):
            one, other = match[2], match[3] or match[4]
            clause = _CLAUSE.split(plain[: match.end()])[-1]
            is_told = _PARTLY.search(plain[: match.start()]) or next(self._told(clause), None)
            if one != other and not is_told and not self._words.may_be_one(plain, f"{one} {other}"):
                yield Unasked(match[1], "asks for two things at once")

    def names_one(self, clause: str) -> bool:
        """Whether a clause names one of the things, in lower case."""
        return bool(self._names.search(clause))

    def asks(self, clause: str) -> bool:
        """Whether a clause in lower case asks for something to be done, whatever others tell."""
        if next(self._told(clause), None) is not None:
            return False
        return bool(_ASKS.search(clause) or self._goes.search(clause) or set(begun(clause)[:1]) & self._acts)

    def _said_of_itself(self, clause: str) -> Iterator[Unasked]:
        """When and how often what a clause asks for is to be done, if not once and now."""
        yield from _all(_LATER, clause, "is not now")
        for match in _OFTEN.finditer(clause):
            goes_on = match[3] is None or is_form_of(match[3], self._acts)
            if goes_on and not _ASKED.search(clause[: match.start()]):
                yield Unasked(_said(match), "is more than once")

    def _told(self, plain: str) -> Iterator[Unasked]:
        """What is told instead of asked for."""
        yield from _all(_PRAISE, plain, "praises what was done")
        yield from _all(_ALREADY, plain, "tells of what is done")
        for match in _DOING.finditer(plain):
            if is_form_of(match[2], self._acts) and not _GOING_TO.match(plain, match.start(2)):
                yield Unasked(match[1].strip(), "tells of what is being done")
        for pattern in (_DID, _WAS_DONE, _COULD_HAVE, _GLAD):
            for match in pattern.finditer(plain):
                said, verb = (group for group in match.groups() if group is not None)
                if self._is_past(said, verb) and (pattern is _GLAD or not self._is_wanted(plain[: match.start()])):
                    yield Unasked(said, "tells of what was done")
        for match in _ANNOUNCED.finditer(plain):
            if is_form_of(match[2], self._acts - _HAVE):
                yield Unasked(f"{match[1]} {match[2]}", "announces what is going to be done")

    def _is_wanted(self, before: str) -> bool:
        """Whether what is told after these words is wished for, or says which thing is: "put the lime I dropped"."""
        of_it = self._of_it.search(before) and set(words_of(before)) & self._acts
        return bool(_WANTED.search(before) or of_it)

    def _is_past(self, said: str, verb: str) -> bool:
        """Whether a verb is the past of a taught one; with a word before it where that cannot be seen."""
        if verb in _IRREGULAR:
            told = verb not in _OF_NOW or (said != verb and not said.startswith("'d"))
            return told and _IRREGULAR[verb] in self._acts
        return verb.endswith("ed") and verb not in self._acts and is_form_of(verb, self._acts)


def _plain(sentence: str) -> str:
    """A sentence in plain lower-case letters, with each contraction in one piece."""
    together = _TAKEN_APART.sub(r"'\1", plain_letters(sentence).lower())
    return _RUN_TOGETHER.sub(r"\1'\2", together)


def _both(name: str, acts: Iterable[str]) -> re.Pattern[str]:
    """Two names with what joins them: "red and blue", "red, then press blue"."""
    act, some = _any_word(acts), "(?:the |a |an |my )?"
    joined = r"(?:,? and|,? &|,? plus|,? as well as|,? then|,? followed by)(?: then| also)?"
    return re.compile(
        rf"\b(({name})(?: \w+)?(?:{joined} {some}({name})|(?:{joined}|[,;.]) (?:{act}) (?:down |on )?{some}({name})))"
    )


def _any_word(words: Iterable[str]) -> str:
    return "|".join(map(re.escape, sorted(words))) or "(?!)"


def _taken_away(name: str, holders: Sequence[str]) -> re.Pattern[str]:
    """Something that is to be taken out of what things are put into, or off another."""
    some = "(?:the |that |my |your )?"
    one, holder = rf"(?:{name}(?: \w+)?|finger|hand|gripper|arm)", _any_word(holders)
    return re.compile(
        rf"\b((?:out of|from) {some}(?:{holder})|{one} (?:off|away from) "
        rf"(?:of )?{some}(?:it|{name}))\b"
    )


def _stated(name: str) -> re.Pattern[str]:
    """A sentence that begins with where something is: "the lime is in the bowl"."""
    some = "(?:the |a |an |my |your |this |that )?"
    return re.compile(
        rf"^\W*{some}({name}(?: \w+)? (?:is|are|was|were)(?: \w+ing| now| already| still)? "
        r"(?:on|in|inside|upon|atop|under|over|above|below|beneath|next to|beside))\b"
    )


def _holders(taught: Sequence[str], names: Sequence[str]) -> list[str]:
    """What things are put into, and what is never moved itself."""
    into = {word for each in taught for word in re.findall(r"\b(?:in|into|inside) the (\w+)\b", each)}
    moved = {word for each in taught for word in re.findall(rf"\b(?:{_MOVED}) (?:the |a |an )?(\w+)\b", each)}
    return sorted(word for word in into - moved if not any(name.startswith(word) for name in names))


def _turned_round(name: str, holders: Sequence[str]) -> re.Pattern[str]:
    """A holder that is to be put on or into something; "in the bowl on the table" says which bowl."""
    some = "(?:the |a |an |that |this |my )?"
    return re.compile(
        r"(?<!in )(?<!into )(?<!inside )(?<!in the )(?<!into the )(?<!inside the )(?<!in a )(?<!in my )(?<!into my )"
        rf"(?<!to the )\b((?:{_any_word(holders)}) (?:down |right )?(?:{_INTO}) {some}{name})(?!'s)"
    )


def clauses_of(sentence: str) -> list[tuple[str, str]]:
    """Parts of a sentence in plain lower-case letters, each with what divides it from the next."""
    plain = _plain(sentence)
    found, start = [], 0
    for divided in _CLAUSE.finditer(plain):
        found.append((plain[start : divided.start()], divided[0]))
        start = divided.end()
    found.append((plain[start:], ""))
    return [(clause, end) for clause, end in found if clause.strip()]


def _is_aside(clause: str) -> bool:
    """Whether a clause says when or how often of one beside it: "tonight, press red"."""
    return len(clause.split()) <= _ASIDE and not _STATES.search(clause)


def _all(pattern: re.Pattern[str], plain: str, why: str) -> Iterator[Unasked]:
    return (Unasked(_said(match), why) for match in pattern.finditer(plain))


def _said(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group)
