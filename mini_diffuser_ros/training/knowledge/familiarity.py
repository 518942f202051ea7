"""Learning which sentences mean a taught task, from the tasks' own sentences and from what everybody else says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.policy.encoding import SentenceEncoder
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.familiarity import (
    Familiarity,
    FamiliaritySettings,
    familiarity_encoder,
    numbered,
    pooled,
    says_one,
)
from mini_diffuser_ros.policy.knowledge.judge import Judge
from mini_diffuser_ros.policy.knowledge.words import levels_of, numbers_of, token_words, words_of
from mini_diffuser_ros.sentences import refusal, tokenizer
from mini_diffuser_ros.training.knowledge.foils import SentenceMaker, TaughtTask, taught_task
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.thresholds import measured_threshold
from mini_diffuser_ros.training.knowledge.wordings import Wordings, read_wordings

REFUSED = 0.08
"""Share of the good sentences held out that the threshold refuses. Their wordings are odder than what people say, of
which it refuses about one in a hundred."""

HELD_OUT = 8
"""One of so many templates and wordings is held out, the words of a sentence with them."""

_GOOD_CASES = 2  # sentences of each template held out
_CHANNELS = 96  # of a judge
_SEVERAL = 8  # sentences that hold a word before it has a number
_ROUNDED = 1e-7  # of a score
_BATCH, _RATE, _NOISE, _HIDDEN, _UNREAD, _SMOOTH = 128, 1.5e-3, 0.05, 0.05, 0.15, 0.01
_EXAMPLES = 40  # of a task, for refusals
_FILLER = 1000  # templates that a word that fills a slot counts as
_WEIGHTS = {
    "talk": 7,
    "other task": 6,
    "other language": 5,
    "other object": 14,
    "other kind": 6,
    "other verb": 7,
    "other relation": 9,
    "other act": 17,
    "negation": 14,
    "question": 13,
    "statement": 7,
    "mixed tasks": 5,
    "fragment": 1,
    "salad": 5,
}
"""How often a foil of a family is drawn."""


@dataclass(frozen=True)
class Effort:
    """How much is learned from, and for how long.

    Attributes:
        good: sentences that mean a task.
        foils: that mean none.
        foil_cases: foils of wordings held out, to measure with.
        judges: networks that vote.
        epochs: passes over all sentences.
    """

    good: int = 10000
    foils: int = 20000
    foil_cases: int = 1000
    judges: int = 3
    epochs: int = 5


@dataclass(frozen=True, eq=False)
class ReadSentence:
    """A sentence as judges read it.

    Attributes:
        states: (L, D) float16.
        levels: (L,) int64.
        words: (L,) int64, their numbers.
    """

    states: Tensor
    levels: Tensor
    words: Tensor


@dataclass(frozen=True, eq=False)
class Corpus:
    """Sentences to learn familiarity from, and what is known of their words.

    Attributes:
        good: that mean a task, each with the template that it was made of.
        foils: that mean none.
        good_cases: made of what was held out.
        foil_cases: likewise.
        counts: word to the number of taught templates that hold it.
        vocabulary: words that several sentences hold.
        names: one of which every taught sentence says.
    """

    good: tuple[tuple[str, str], ...]
    foils: tuple[str, ...]
    good_cases: tuple[str, ...]
    foil_cases: tuple[str, ...]
    counts: Mapping[str, int]
    vocabulary: tuple[str, ...]
    names: tuple[str, ...]


def learn_familiarity(lesson: Lesson, effort: Effort = Effort()) -> Familiarity:
    """Familiarity with the sentences of the policy's tasks.

    Args:
        lesson: the policy, and further sentences that mean its tasks.
        effort: how much of it.

    Raises:
        TextError: the sentence encoder is not installed, or no taught sentence can be read.
    """
    corpus = make_corpus(lesson.policy.tasks, lesson.further, effort, Random(lesson.seed))
    encoder = familiarity_encoder(lesson.policy.text)
    read = read_corpus(corpus, encoder, lesson)
    judges = [_learned_judge(read, len(corpus.vocabulary), lesson, effort, number) for number in range(effort.judges)]
    examples, states = _examples(lesson.policy.tasks, encoder)
    settings = FamiliaritySettings(
        len(judges), _CHANNELS, dict(corpus.counts), corpus.vocabulary, examples, corpus.names
    )
    return _with_threshold(judges, states, settings, corpus, encoder)


def make_corpus(
    tasks: Mapping[str, Sequence[str]], further: Mapping[str, Sequence[str]], effort: Effort, random: Random
) -> Corpus:
    """Sentences that mean the tasks, and foils; some templates and wordings of each kind held out.

    Args:
        tasks: task to its taught sentences.
        further: task to more sentences that mean it.
        effort: how many of them.
        random: the source of all that is drawn.
    """
    whole = [taught_task(sentences, further.get(task, ())) for task, sentences in tasks.items()]
    known, kept = zip(*(_divided(task, random) for task in whole), strict=True)
    everything = {template for task in whole for template in task.templates}
    seen, unseen = _divided_wordings(read_wordings())
    maker = SentenceMaker(known, seen, random, everything)
    share = effort.good // len(known)
    good = [
        (maker.taught(task, template), template)
        for task in known
        for template in random.choices(task.templates, k=share)
    ]
    cases = SentenceMaker(whole, unseen, random, everything)
    good_cases = [
        cases.taught(task, template)
        for task, templates in zip(whole, kept, strict=True)
        for template in templates
        for _ in range(_GOOD_CASES)
    ]
    names = _names(whole)
    good = [pair for pair in dict.fromkeys(good) if not refusal(pair[0])]
    foils = _foils(maker, effort.foils, names, random)
    return Corpus(
        tuple(good),
        foils,
        tuple(dict.fromkeys(sentence for sentence in good_cases if not refusal(sentence))),
        _foils(cases, effort.foil_cases, (), random),
        _counts(known),
        _vocabulary([*(sentence for sentence, _ in good), *foils]),
        names,
    )


def read_corpus(corpus: Corpus, encoder: SentenceEncoder, lesson: Lesson) -> tuple[list[ReadSentence], Tensor]:
    """What is learned from: read sentences, and 1 for good ones, 0 for foils.

    A word of a good sentence is only as well known as other templates make it: so judges learn what to think of a
    paraphrase with words of its own.
    """
    sentences = [*(sentence for sentence, _ in corpus.good), *corpus.foils]
    states = {}
    with lesson.bar(len(sentences), "reading sentences") as bar:
        for sentence, state in encoder.many(list(dict.fromkeys(sentences))):
            states[sentence] = state.half()
            bar.update()
    known = tokenizer()
    assert known is not None  # the encoder has it
    numbers = numbered(corpus.vocabulary)
    read = []
    for sentence, template in (*corpus.good, *((foil, "") for foil in corpus.foils)):
        counts = Counter(corpus.counts)
        counts.subtract(set(words_of(template)))
        words = token_words(" ".join(sentence.split()), known)
        levels, own = torch.tensor(levels_of(words, counts)), torch.tensor(numbers_of(words, numbers))
        read.append(ReadSentence(states[sentence], levels, own))
    return read, torch.tensor([1.0] * len(corpus.good) + [0.0] * len(corpus.foils))


def _divided(task: TaughtTask, random: Random) -> tuple[TaughtTask, tuple[str, ...]]:
    """The task without some of its templates, and those; none where there are few."""
    templates = list(task.templates)
    random.shuffle(templates)
    kept = set(templates[: len(templates) // HELD_OUT])
    known = replace(
        task,
        templates=tuple(template for template in task.templates if template not in kept),
        commands=tuple(template for template in task.commands if template not in kept),
    )
    return known, tuple(sorted(kept))


def _divided_wordings(wordings: Wordings) -> tuple[Wordings, Wordings]:
    """Wordings without some of each list, and those."""
    lists = {entry.name: getattr(wordings, entry.name) for entry in fields(Wordings)}
    unseen = {name: lines[::HELD_OUT] for name, lines in lists.items()}
    seen = {name: tuple(line for line in lines if line not in set(unseen[name])) for name, lines in lists.items()}
    return Wordings(**seen), Wordings(**unseen)


def _foils(maker: SentenceMaker, count: int, names: Sequence[str], random: Random) -> tuple[str, ...]:
    """Foils of all families; of names, if there are any, only those that say one: the others need no judge."""
    makes = maker.foils()
    found: dict[str, None] = {}
    for family in random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count):
        sentence = maker.foil(makes[family])
        if sentence and not refusal(sentence) and says_one(sentence, names):
            found[sentence] = None
    return tuple(found)


def _counts(tasks: Sequence[TaughtTask]) -> dict[str, int]:
    """Word to the number of templates that hold it."""
    counts: Counter[str] = Counter()
    for task in tasks:
        for template in task.templates:
            counts.update({word for word in words_of(template) if not word.isdigit()})
        counts.update(
            dict.fromkeys((w for fillers in task.slots.classes for one in fillers for w in words_of(one)), _FILLER)
        )
    return dict(sorted(counts.items()))


def _vocabulary(sentences: Sequence[str]) -> tuple[str, ...]:
    """Words that several sentences hold."""
    counts = Counter(word for sentence in sentences for word in set(words_of(sentence)))
    return tuple(sorted(word for word, count in counts.items() if count >= _SEVERAL))


def _names(tasks: Sequence[TaughtTask]) -> tuple[str, ...]:
    """What fills slots, where there is no taught sentence without."""
    if not all("{" in template for task in tasks for template in task.templates):
        return ()
    fillers = {filler for task in tasks for several in task.slots.classes for filler in several}
    return tuple(sorted(" ".join(words_of(filler)) for filler in fillers))


def _learned_judge(
    read: tuple[list[ReadSentence], Tensor], vocabulary: int, lesson: Lesson, effort: Effort, number: int
) -> Judge:
    sentences, wanted = read
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed + number)
        judge = Judge(sentences[0].states.shape[1], vocabulary, _CHANNELS)
        optimizer = torch.optim.AdamW(judge.parameters(), _RATE, weight_decay=0.05)
        batches_of_all = -(-len(sentences) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, _RATE * 1.5, total_steps=effort.epochs * (batches_of_all + 60), pct_start=0.15
        )
        with lesson.bar(effort.epochs * len(sentences), f"judge {number + 1} of {effort.judges}") as bar:
            for _ in range(effort.epochs):
                for chosen in _batches(sentences):
                    states, levels, words, present = _padded([sentences[index] for index in chosen])
                    states = states + _NOISE * torch.randn_like(states)
                    present = present & ((torch.rand(present.shape) > _HIDDEN) | (torch.arange(present.shape[1]) == 0))
                    words = words * (torch.rand(words.shape) > _UNREAD)
                    logits = judge(states, levels, words, present)
                    target = wanted[chosen] * (1.0 - 2.0 * _SMOOTH) + _SMOOTH
                    loss = F.binary_cross_entropy_with_logits(logits, target)
                    optimizer.zero_grad()
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(judge.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
                    bar.update(len(chosen))
    return judge.eval()


def _batches(sentences: Sequence[ReadSentence]) -> list[list[int]]:
    """Numbers of sentences that are about equally long, in random order."""
    lengths = torch.tensor([len(sentence.levels) for sentence in sentences]) + 2.0 * torch.rand(len(sentences))
    order = lengths.argsort().tolist()
    batches = [order[start : start + _BATCH] for start in range(0, len(order), _BATCH)]
    return [batches[int(number)] for number in torch.randperm(len(batches))]


def _padded(sentences: Sequence[ReadSentence]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States (B, L, D) float32, levels (B, L), numbers of words (B, L) and which of them are there (B, L)."""
    pad = torch.nn.utils.rnn.pad_sequence
    states = pad([sentence.states.float() for sentence in sentences], batch_first=True)
    levels = pad([sentence.levels for sentence in sentences], batch_first=True)
    words = pad([sentence.words for sentence in sentences], batch_first=True)
    lengths = torch.tensor([len(sentence.levels) for sentence in sentences])
    return states, levels, words, torch.arange(states.shape[1]) < lengths[:, None]


def _examples(
    tasks: Mapping[str, Sequence[str]], encoder: SentenceEncoder
) -> tuple[dict[str, tuple[str, ...]], Tensor]:
    """Some sentences of each task, and (S, D) the states of all of them."""
    examples = {}
    for task, sentences in tasks.items():
        good = [sentence for sentence in sentences if not refusal(sentence)]
        examples[task] = tuple(good[:: max(1, len(good) // _EXAMPLES)][:_EXAMPLES])
    shown = [sentence for known in examples.values() for sentence in known]
    if not shown:
        raise TextError("none of the sentences that the policy was taught can be read")
    return examples, torch.stack([pooled(encoder(sentence)) for sentence in shown])


def _with_threshold(
    judges: Sequence[Judge], states: Tensor, settings: FamiliaritySettings, corpus: Corpus, encoder: SentenceEncoder
) -> Familiarity:
    """The familiarity whose threshold refuses :data:`REFUSED` of the good cases; 0.5 where there are none."""
    kinds = f"{len(corpus.good)} sentences of {len(settings.examples)} tasks and {len(corpus.foils)} others"
    learned_from = f"learned from {kinds}"
    undecided = Familiarity(judges, states, settings, Threshold(0.5, 0.0, 0), learned_from)
    good = torch.tensor([undecided.read(sentence, encoder).score for sentence in corpus.good_cases]).double()
    foils = torch.tensor([undecided.read(sentence, encoder).score for sentence in corpus.foil_cases]).double()
    value = 0.5
    if len(good):
        value = max(0.0, float(good.sort().values[int(REFUSED * len(good))]) - _ROUNDED)  # which itself is not refused
    return Familiarity(judges, states, settings, measured_threshold(value, good, foils), learned_from)
