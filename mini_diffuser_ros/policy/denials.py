"""What a sentence denies: what it asks for, or something else, without which it is read.

To a sentence encoder "do not press the red button" is nearly "press the red button", so words that deny are looked for.
A denial belongs to its clause. Where that clause can only be about something else ("press red, not blue", "don't touch
the others, press red"), what remains of the sentence is read; in doubt what the sentence asks for is denied.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from itertools import pairwise


def words_in(text: str) -> frozenset[str]:
    """The words of a text, without order."""
    return frozenset(text.split())


_QUOTES = "\N{RIGHT SINGLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}\N{ACUTE ACCENT}`\u02bc\u2032\uff07"
_APOSTROPHES = str.maketrans(dict.fromkeys(_QUOTES, "'") | dict.fromkeys("\u200c\u200d", ""))
_VERBS = "do|does|did|ca|can|could|wo|would|should|sha|is|are|was|were|ai|has|have|had|must|need|might|ought|dare"
_APART = re.compile(rf"\b({_VERBS})\s*(?:n\s*'\s*t|'\s*nt|n\s+t|\s*nt)\b", re.IGNORECASE)
_BLANKS = re.compile(r"[^\S\n]{2,}")
_DENYING = re.compile(
    r"\b(?:\w+n't|not|never|cannot|nor|neither|nobody|no one|nothing|none|nowhere|nope|without|instead of|unless|"
    r"except|forget|rather than|hands off|no (?:longer|need|reason|point|way|use|chance)|no more(?= \w)|"
    r"(?:any|every|all)(?:thing|one|body|where)? (?:but|besides|other than|apart from)|"
    r"(?:keep|keeps|stay|stays|steer|leave|hold) (?:\w+ ){0,4}?(?:away|off|clear|out of)|(?:get|back) (?:away|off)|"
    r"(?:under|on|in|by) no \w+|at no (?:time|point)|"
    r"(?:leave|let) (?:\w+ ){1,4}?(?:alone|untouched|in peace)|"
    r"(?:avoid|refrain|cancel|quit(?!e\b)|stop|cease|desist|abort|forbid|prohibit|refus|ignor|skip)\w*|"
    r"(?:abstain|withh[eo]ld|resist|disallow|outlaw|prevent|dissuad|discourag|hinder|thwart|exclud|neglect|omit|veto)\w*|"
    r"undo|undoing|undoes|undone|undid|excepting|barring|with the exception of|save for|"
    r"(?:other than|apart from|aside from)(?! (?:that|this|it)\b)|in lieu of|"
    r"(?:block|bar|deter) (?:any|every|some)(?:one|body)|off[ -]limits|out of bounds|taboo|banned|illegal|"
    r"lay off|shy away from|hold back from|keep from|"
    r"spare(?= (?:the|that|this|my)\b)|beware(?= (?:of|the|that|this|my)\b)|(?:be|is|are|very) wary of|"
    r"(?:fail|fails|failed|failing|decline|declines|pretend|pretends|pretending) to|"
    r"hates? (?:it when|it if|when|to see)|"
    r"the last thing (?:i|we|you|anybody|anyone|they)(?:'d| would)? (?:want|need|like)|"
    r"(?:wrong|unwise|unsafe|a mistake|a (?:bad|terrible|dreadful) idea) (?:to|if|when)|"
    r"(?:delay|delaying|postpone|postponing|put off|defer|reverse)(?= (?:the |any |all )?\w+ing\b)|"
    r"(?:stay|stays|remain|remains|keep|be left) (?:\w+ ){0,3}?un-?\w+ed)\b"
)
_HASTE = "hurry|rush|hurrying|rushing|delay|hesitation|hesitating|fuss|waiting|dawdling|dropping|spilling|stress|noise"
_ALL_BUT = re.compile(
    r"\b((?:any|every|all|each|whatever|whichever|wherever|any(?:thing|one|where)|every(?:thing|one|where))"
    r"(?: (?:of|the|these|those|other|you|like|want)){0,3}(?: \w+)? (?:but|save|bar)) "
    r"(?:for |not |in |into |inside |on |onto |by )*(?=(\w+)(?: (\w+))?)"
)
"""What is said before the one that is not meant, and the words after it."""

_ONE_MEANT = words_in("the that this these those my")
_ALMOST = re.compile(r"\b(almost|nearly) (\w+)")
_FEIGNED = re.compile(r"\b(pretend|act|behave|imagine) (?:as if |as though |like |that )?(?:you|we) (\w+)(?: (\w+))?")
_KEPT_FROM = re.compile(
    r"\b(?:protect|guard|shield|safeguard|save|keep|deter)\w* (?:\w+ ){1,6}?"
    r"(from|against) (?:ever |any )?(?:(?:being|getting) (\w+)|(\w+ing)\b)"
)
_BACK = (
    r"\b((?:just|only) (?:kidding|joking|teasing|a joke)|(?:am|i'm|was|were) (?:kidding|joking|teasing)|"
    r"(?:scratch|strike|belay|disregard) (?:that|this|it)|(?:take|taking) (?:that|it|this) back|on second thoughts?|"
    r"(?:changed|change) (?:my|our) mind)\b"
)
_TAKEN_BACK = re.compile(rf"{_BACK}\W*$")
"""What takes back, at the end of a clause, what was said before it: "take it back to the shelf" does not."""

_NO = re.compile(
    r"\W*(?:(?:oh|or|but|and|well|actually|ah|uh|um|wait|hang on) )*((?:no|nah|nope|nay)\b(?:[ ,]*(?:no|nah|nope))*)"
    r"(?: (?:way|thanks|thank you|sir|please|sorry|wait))?\W*"
)
_INSTEAD = re.compile(r"\b(?:instead|rather than|in lieu)\b")

_POLITE = re.compile(
    r"\bwhy (?:don't|not)\b|\bdo(?:n't| not) (?:you )?(?:forget|mind)\b|"
    r"\bdo(?:n't| not) (?:just )?(?:sit|stand) there\b|"
    r"\b(?:wo|ca|could|would)n't you\b|\b(?:will|can|could|would) not you\b|\bbet you (?:can't|cannot|couldn't)\b|"
    r"\band (?:then )?stop(?: there| then| after that)?\W*$|"
    rf"\bwithout (?:any |further |more |a )?(?:{_HASTE})\b|"
    r"\b(?:nothing|none|nobody|no one) (?:else|more|fancy|special|but|other)\b|"
    r"\b(?:do(?:n't| not) care|does(?:n't| not) matter) (?:how|when|which)\b|"
    r"\bwithout fail\b|\bnot sure (?:if|whether)\b|"
    r"\b(?:do(?:n't| not)|did(?:n't| not)|never|cannot|can't|won't|will not|must not|mustn't) (?:you )?"
    r"(?:ever )?(?:fail|neglect|omit|hold back)\b(?: (?:to|from|any longer|further))?|"
    r"\b(?:no|not) (?:a )?(?:kidding|joking|joke)\b|\b(?:i'm|i am|we're) not (?:kidding|joking|teasing)\b|"
    r"\b(?:i'm|i am|we're) not (?:asking|saying|telling \w+)(?: it| this)? (?:twice|again)\b|"
    r"\b(?:i|we) (?:won't|will not) (?:ask|say|repeat)(?: it| this| you)?(?: twice| again)?\b|"
    r"\bif it(?:'s not| is not| isn't) (?:too much |any |a )?(?:trouble|bother|hassle|problem)\b|"
    r"\bso (?:that )?(?:i|we|it|they|nobody|no one) (?:(?:\w+n't|(?:do|does|will|can) not|cannot) )?"
    r"(?:lose|forget|trip|trips|miss|roll|rolls|get|gets|fall|falls|slip|slips|have)\b|"
    r"\b(?:i|we|he|she|my \w+|our \w+) (?:can't|cannot|can not|couldn't) (?:quite |really |even )?"
    r"(?:reach|get|see|find|bend|stretch|lift|carry|manage)\b"
)
"""Ways to ask for something that deny nothing."""

_BREAK = re.compile(
    r"[,;.!?:)\u2026\n]+(?:\s+|$)|\s*\(|\s+[-\u2013\u2014]+\s+|\s+(?=but\b)|"
    r"\s+(?=(?:(?:and|but|or) )?(?:not|never|without|instead of|rather than)\b)|"
    r"\s+(?=(?:and|but|or) (?:do not|don't|ignore|skip|leave|avoid|forget)\b)",
    re.IGNORECASE,
)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_LEADS = words_in(
    "do does did is are was were be am will would shall should can could may might must has have had need ought better "
    "dare please rather certainly definitely absolutely just why or and but if i you we they it he she to of let "
    "anything anyone everything everyone any every all nothing none nobody"
)
"""Words that belong to a ``not`` or a ``but`` after them, so that no clause begins with it."""

_NOT_SO = re.compile(
    r"\b(?:(?:is|are|was|were|has|have)(?:n't| not)|(?:nobody|no one) (?:has|have))\b.*\b(?:yet|so far)\b|"
    r"\b(?:is|are|was|were)(?:n't| not) (?:in|on|inside|pressed|pushed|there)\b"
)
"""What is not so, rather than not to be done."""

_PASSED_OVER = words_in("ignore skip forget")
"""Whose denial ends at an "and": "ignore red and press blue", unlike "don't press red and blue"."""

_LEFT = words_in("leave keep")
_GOING = words_in("go do")  # "so go and do it"
_OTHER_WAY = re.compile(r"\W*(?:and |but )?not (?:the )?other way a?round\W*")
_NOT_THAT = re.compile(r"\W*not (?:that|this) one\W*")
_GOES_ON = words_in("or nor either neither")
_CONDITIONS = words_in("if unless until till when whenever once")
_POINTING = words_in("it that this them those these so such what")
_OTHERS = words_in("other others else rest another remaining neighbour neighbours neighbor neighbors")
_ELSEWHERE = words_in("table floor ground edge side outside beside next under underneath behind near")
_PLACED = "on|onto|on top of|upon|atop|over|above|under|below|beneath|in|into|inside"
_MANNER = words_in(
    "hurry rush hesitate hesitation hesitating wait waiting dawdle dawdling delay fuss fear worry worrying shy afraid "
    "rough slow late lazy miss drop dropping spill spilling knock knocking squash squashing crush crushing damage "
    "damaging break breaking scratch scratching stare staring talk talking mess messing noise stress"
)
_ABOUT_OTHERS = words_in(
    "a an the of to in on at by with from and any all two three ones one thing things stuff item items colour colours "
    "color colors please just you your ever do does did be is are touch touching touched disturb disturbing move "
    "moving mind bother bothering leave let alone keep away hands off forget ignore ignoring skip skipping avoid "
    "avoiding instead rather than today now anything anyone anybody everything"
)
_ABOUT_MANNER = words_in(
    "a an the any please just do be so too very much you it them anything anyone over down need stop stopping there's "
    "about around"
)
_ABOUT_ELSEWHERE = words_in("and but on onto in into to the a of your my")
NO_VERBS = words_in(
    "the a an this that these those it its my your our his her their one in on onto into over under of off to at for "
    "with from by and or but is are was were be been have has had would will could can should may i you we they he she "
    "there here now only just please so then instead robot hey ok okay well always above below beneath upon up down "
    "underneath top next among carefully gently"
)
_BEFORE_ACTS = re.compile(
    r"^\W*(?:(?:please|just|only|simply|then|so|now|but|instead|rather|always|kindly|robot|ok|okay|and|"
    r"(?:could|can|would|will) you|i (?:want|need) you to|i'd like you to|i would like you to|"
    r"you (?:should|must|have to|need to))\b\W*)*"
)


@dataclass(frozen=True)
class ReadDenial:
    """A sentence without what it denies beside what it asks for.

    Attributes:
        rest: of the sentence; all of it where nothing is denied, or what it asks for is.
        left_out: clauses that are not in the rest.
        word: that denies what the sentence asks for, in lower case; empty if nothing does.
    """

    rest: str
    left_out: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True)
class _Clause:
    """A part of a sentence.

    Attributes:
        text: of it, in lower case.
        start: its place in the sentence.
        end: where it ends.
        word: that denies in it; empty if nothing does.
        takes_back: what was said before it.
    """

    text: str
    start: int
    end: int
    word: str
    takes_back: bool = False

    @property
    def words(self) -> list[str]:
        return words_of(self.text)


class Denials:
    """Finds what denies in a sentence, and what of it is denied; words with which something was taught deny nothing.

    A clause that denies is left out of a sentence if it can only be about something else than what remains: others
    without a name, how something is done, another place, or other names. What remains has to name something, or to say
    what to do where no names are known, and after a denial it has to begin anew with what to do.

    Args:
        sentences: that were taught.
        names: of things, of which a sentence says which it means, in lower case.
    """

    def __init__(self, sentences: Iterable[str], names: Iterable[str] = ()) -> None:
        taught = [plain_letters(sentence).lower() for sentence in sentences]
        known = longest_first(names)
        self._names = any_of(known)
        self._has_names = bool(known)
        any_name = self._names.pattern
        self._not_names = re.compile(
            rf"\b(?:(non)[- ]?{any_name}|(leave) (?:the |that |this |my )?{any_name}(?: \w+)?\W*$)"
        )
        self._contrast = re.compile(rf"\W*(?:and |but |no )*not (?:the |a |an |that |this |my )?{any_name}(?: \w+)?\W*")
        self._pair = re.compile(rf"({any_name})(?: \w+)? ({_PLACED}) (?:(?:the|a|that|this|top|of) )*({any_name})")
        words = [words_of(sentence) for sentence in taught]
        self._words = frozenset(word for sentence in words for word in sentence)
        self._acts = frozenset(sentence[0] for sentence in words if sentence) - NO_VERBS - set(known)
        wordings = {self._names.sub("NAME", sentence): sentence for sentence in taught}.values()  # of any names
        self._exempt = frozenset(
            word for said in (*wordings, *known) for word in (*self._denying(said), *re.findall(_BACK, said))
        )

    def read(self, sentence: str) -> ReadDenial:
        """A sentence without what it denies beside what it asks for."""
        plain = plain_letters(sentence)
        clauses = self._clauses(plain)
        clauses = [replace(one, word="") if self._is_not_so_yet(one, clauses) else one for one in clauses]
        denied = [clause for clause in clauses if clause.word]
        if not denied:
            return ReadDenial(sentence)
        kept = [clause for clause in clauses if not clause.word]
        if doubtful := next((one for one in denied if not self._is_of_something_else(one, clauses, kept)), None):
            return ReadDenial(sentence, word=doubtful.word)
        return ReadDenial(self._joined(plain, clauses), tuple(plain[one.start : one.end].strip() for one in denied))

    def _denying(self, plain: str) -> list[str]:
        """What denies in a sentence in lower case."""
        said = _POLITE.sub(" ", plain)
        found = _DENYING.findall(said)
        found += ["no" for after in re.findall(r"\bno (\w+)(?: (\w+))?", plain) if self._is_none(after)]
        found += [match.group(1) for match in self._all_but(said)]
        found += [match.group(1) for match in _ALMOST.finditer(said) if is_form_of(match.group(2), self._acts)]
        for done in (_FEIGNED, _KEPT_FROM):
            found += [match.group(1) for match in done.finditer(said) if any(map(self._is_act, match.groups("")[1:]))]
        if self._has_names:
            found += [word for words in self._not_names.findall(said) for word in words if word]
        return found

    def _all_but(self, plain: str) -> list[re.Match[str]]:
        """Where all but one are meant; "all the way, but slowly" says no such thing."""
        found = _ALL_BUT.finditer(plain)
        return [match for match in found if match[2] in _ONE_MEANT or self._is_named(match.groups("")[1:])]

    def _is_named(self, words: Sequence[str]) -> bool:
        return any(self._names.fullmatch(said) for said in (words[0], " ".join(words)))

    def _is_none(self, after: Sequence[str]) -> bool:
        """Whether a ``no`` with these words after it is not one of something that was taught."""
        if after[0] in _OTHERS:
            return False
        return self._is_act(after[0]) or any(self._names.fullmatch(word) for word in after if word)

    def _is_act(self, word: str) -> bool:
        """Whether a word is a taught one, or a form of one."""
        return is_form_of(word, self._words - NO_VERBS)

    def _clauses(self, plain: str) -> list[_Clause]:
        """Parts of a sentence, those that go on with a denial belonging to it."""
        spans, start = [], 0
        whole = [match.span() for match in self._all_but(plain.lower())]
        for match in _BREAK.finditer(plain):
            before = words_of(plain[start : match.start()].lower())
            if any(first < match.start() < last for first, last in whole):
                continue
            if match.group().strip() or (before and before[-1] not in _LEADS):
                spans.append((start, match.start()))
                start = match.end()
        spans.append((start, len(plain)))
        clauses = [self._clause(plain, *span) for span in spans if re.search(r"\w", plain[slice(*span)])]
        found: list[_Clause] = []
        for number, clause in enumerate(clauses):
            if taken_back := self._taking_back(plain, clauses, number):
                found.append(replace(clause, word=taken_back, takes_back=True))
                continue
            for part in self._parts(plain, clause):
                found.append(self._going_on(found, part))
        return found

    def _taking_back(self, plain: str, clauses: Sequence[_Clause], number: int) -> str:
        """What in a clause takes back what was said before it, empty if nothing does, or nothing was asked for yet."""
        clause, before, after = clauses[number], clauses[:number], clauses[number + 1 :]
        if not any(map(self._names_or_asks, before)):
            return ""
        if (back := _TAKEN_BACK.search(clause.text)) and back.group(1) not in self._exempt:
            return back.group(1)
        no = _NO.fullmatch(clause.text)
        goes_on = any(not one.word and self._names_or_asks(one) for one in after)
        return no.group(1) if no and not goes_on and not plain[clause.end :].startswith("?") else ""

    def _clause(self, plain: str, start: int, end: int) -> _Clause:
        text = plain[start:end].lower()
        word = next((word for word in self._denying(text) if word not in self._exempt), "")
        return _Clause(text, start, end, word)

    def _parts(self, plain: str, clause: _Clause) -> Sequence[_Clause]:
        """A clause; in two where it denies something else up to an ``and``, or up to what is to be done instead."""
        if clause.word and _INSTEAD.match(clause.text):
            for match in re.finditer(r"\s+(?=([\w']+))", clause.text):
                first, then = clause.start + match.start(), clause.start + match.end()
                instead = self._clause(plain, clause.start, first)
                if match.group(1) in self._acts and self._named(instead.text):
                    return instead, self._clause(plain, then, clause.end)
        if clause.word:
            for match in _AND.finditer(clause.text):
                first, then = clause.start + match.start(), clause.start + match.end()
                both = self._clause(plain, clause.start, first), self._clause(plain, then, clause.end)
                if both[0].word and (self._is_of_others(both[0]) or _is_of_manner(both[0])):
                    return both
                if both[0].word in _PASSED_OVER and self._asks(both[1]) and self._named(both[0].text):
                    return both
        return (clause,)

    def _going_on(self, before: Sequence[_Clause], clause: _Clause) -> _Clause:
        """A clause, which denies if it only goes on with the denial before it."""
        if clause.word or not before or not before[-1].word:
            return clause
        named, wanted = self._named(clause.text), self._all_named(one for one in before if not one.word)
        if clause.words[0] in _GOES_ON or (wanted and named and not named <= wanted and not self._asks(clause)):
            return replace(clause, word=before[-1].word)
        return clause

    def _is_not_so_yet(self, clause: _Clause, clauses: Sequence[_Clause]) -> bool:
        """Whether a clause only tells what is not so, and what comes next asks for it: "it isn't in, so put it in"."""
        later = next((one for one in clauses if one.start > clause.start), None)
        asked = begun(later.text)[:1] if later and not later.word else []
        return bool(_NOT_SO.search(clause.text) and set(asked) & (self._acts - _LEFT | _GOING))

    def _is_of_something_else(self, clause: _Clause, clauses: Sequence[_Clause], kept: Sequence[_Clause]) -> bool:
        """Whether a clause can only deny something else than what the kept ones ask for."""
        if clause.takes_back:
            return False
        named = self._all_named(kept)
        comes_first = all(one.start > clause.start for one in kept if self._names_or_asks(one))
        if not kept or not (named or (not self._has_names and any(map(self._asks, kept)))):
            return False
        if _CONDITIONS & set(clause.words):
            return False
        if self._named(clause.text) & named:
            return self._is_of_another_pair(clause, kept) and (not comes_first or any(map(self._asks, kept)))
        if self._is_of_others(clause) or _is_of_manner(clause):
            return not comes_first or any(map(self._may_ask, kept))
        if not comes_first:
            return self._is_of_other_names(clause) or _is_elsewhere(clause)
        if _NOT_THAT.fullmatch(clause.text):
            return any(map(self._may_ask, kept))
        says_which = any(map(self._asks, kept)) or bool(self._contrast.fullmatch(clause.text))
        return self._is_of_other_names(clause) and says_which and not self._points_back(kept)

    def _points_back(self, kept: Sequence[_Clause]) -> bool:
        """Whether clauses may mean what was named before them: "it", and no other name before that."""
        for clause in kept:
            if _POINTING & set(clause.words):
                return True
            if self._named(clause.text):
                return False
        return False

    def _is_of_others(self, clause: _Clause) -> bool:
        words = set(clause.words)
        if not _OTHERS & words:
            return False
        if _OTHER_WAY.fullmatch(clause.text):
            return True
        about = words - set(clause.word.split()) - _OTHERS - _ABOUT_OTHERS
        return not about & _POINTING and all({word, word.removesuffix("s")} & self._words for word in about)

    def _is_of_other_names(self, clause: _Clause) -> bool:
        without = self._names.sub("NAME", clause.text)
        pointing = _POINTING & set(words_of(re.sub(r"\b(?:that|this) (?:\w+ )?NAME", "NAME", without)))
        return bool(self._named(clause.text)) and not pointing

    def _is_of_another_pair(self, clause: _Clause, kept: Sequence[_Clause]) -> bool:
        """Whether a clause is only of other two things than the kept ones, or of these turned round."""
        wanted = [pair for one in kept for pair in self._pairs(one)]
        denied = self._pairs(clause)
        if len(wanted) != 1 or len(denied) != 1:
            return False
        named = self._all_named(kept)
        (one, place, other), (no, no_place, no_other) = wanted[0], denied[0]
        if named != {one, other} or self._named(clause.text) != {no, no_other}:
            return False
        return named != {no, no_other} or (place == no_place and (one, other) == (no_other, no))

    def _pairs(self, clause: _Clause) -> list[tuple[str, str, str]]:
        """Two names of which one is said to be in or on the other, with that word between them."""
        return self._pair.findall(clause.text) if self._has_names else []

    def _joined(self, plain: str, clauses: Sequence[_Clause]) -> str:
        """The clauses that do not deny, with what stands between those that follow each other; a question stays one."""
        runs: list[list[_Clause]] = []
        for before, clause in pairwise((None, *clauses)):
            if clause is None or clause.word:
                continue
            if before is None or before.word:
                runs.append([])
            runs[-1].append(clause)
        rest = ""
        for run in runs:  # a comma only where one sets in anew with what to do
            said = plain[run[0].start : run[-1].end].strip()
            bare = re.sub(r"^(?:but|and|so|or)\s+", "", said, flags=re.IGNORECASE)
            comma = ", " if self._asks(run[0]) and not said.lower().startswith("but") else " "
            rest = f"{rest}{comma}{bare}" if rest else bare
        return f"{rest}?" if plain.rstrip().endswith("?") else rest

    def _named(self, text: str) -> frozenset[str]:
        return frozenset(self._names.findall(text)) if self._has_names else frozenset()

    def _all_named(self, clauses: Iterable[_Clause]) -> frozenset[str]:
        return frozenset[str]().union(*(self._named(one.text) for one in clauses))

    def _names_or_asks(self, clause: _Clause) -> bool:
        return bool(self._named(clause.text)) or self._asks(clause)

    def _asks(self, clause: _Clause) -> bool:
        """Whether a clause begins with a taught word for doing something."""
        return bool(set(begun(clause.text)[:1]) & self._acts)

    def _may_ask(self, clause: _Clause) -> bool:
        """Whether a clause begins with what may be a word for doing something."""
        words = begun(clause.text)
        return len(words) > 1 and words[0] not in NO_VERBS and not self._names.fullmatch(words[0])


def is_form_of(word: str, known: Set[str]) -> bool:
    """Whether a word is a known verb, or a form of one that ends in -s, -ed or -ing."""
    stem = word.removesuffix("ing").removesuffix("ed")
    return bool({word, stem, f"{stem}e", stem[:-1], word.removesuffix("s")} & known)


def begun(clause: str) -> list[str]:
    """Words of a clause in lower case, without what is said before one for doing something."""
    return words_of(_BEFORE_ACTS.sub("", clause))


def words_of(text: str) -> list[str]:
    """The words of a text, contractions in one piece."""
    return re.findall(r"[\w']+", text)


def longest_first(names: Iterable[str]) -> list[str]:
    """Names in plain lower-case letters, so that of "golf ball" and "golf" the longer one is found."""
    return sorted({plain_letters(name).lower() for name in names if name.strip()}, key=len, reverse=True)


def any_of(names: Sequence[str]) -> re.Pattern[str]:
    """What finds whole names in a text, the first of the list first; nothing where there are none."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b" if names else r"(?!)")


def _is_of_manner(clause: _Clause) -> bool:
    words = set(clause.words)
    return bool(_MANNER & words) and not words - set(clause.word.split()) - _MANNER - _ABOUT_MANNER


def _is_elsewhere(clause: _Clause) -> bool:
    words = set(clause.words)
    return bool(_ELSEWHERE & words) and not words - {clause.word} - _ELSEWHERE - _ABOUT_ELSEWHERE


def plain_letters(sentence: str) -> str:
    """A sentence with plain letters, single blanks, and each contraction in one piece."""
    letters = unicodedata.normalize("NFKD", sentence.translate(_APOSTROPHES))
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _APART.sub(r"\1n't", _BLANKS.sub(" ", plain))
