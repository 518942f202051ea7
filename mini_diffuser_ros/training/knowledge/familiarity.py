"""Learning which sentences mean a taught task, from the tasks' own sentences and from what everybody else says."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor

from mini_diffuser_ros.policy.denials import Denials, ReadDenial
from mini_diffuser_ros.policy.errors import TextError
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.familiarity import (
    Familiarity,
    FamiliaritySettings,
    familiarity_encoder,
    numbered,
    pooled,
    says_one,
    seen_states,
)
from mini_diffuser_ros.policy.knowledge.judge import LEVELS_BY_TASK, Judge
from mini_diffuser_ros.policy.knowledge.stand_ins import StandIns, merged
from mini_diffuser_ros.policy.knowledge.words import levels_by_task, numbers_of, token_words, words_of
from mini_diffuser_ros.policy.spelling import Spelling
from mini_diffuser_ros.policy.text.minilm import MiniLMEncoder
from mini_diffuser_ros.sentences import refusal, tokenizer
from mini_diffuser_ros.training.knowledge.foils import SentenceMaker, TaughtTask, taught_task
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.thresholds import measured_threshold
from mini_diffuser_ros.training.knowledge.wordings import Wordings, read_wordings

REFUSED = 0.1
"""Share of the good sentences held out that the threshold refuses. Their wordings are odder than what people say, and
each is scored by one judge that has not seen them, where later all of them vote."""

FOLDS = 4
"""Templates and wordings are divided by so many. Each judge learns from all but one of them, which it is tried on."""

_MOST_TEMPLATES = 10  # of a line that add to how often it is drawn
_CHANNELS = 96  # of a judge
_SEVERAL = 8  # sentences that hold a word before it has a number
_ROUNDED = 1e-7  # of a score
_BATCH, _RATE, _HIDDEN, _UNREAD, _SMOOTH = 128, 1.5e-3, 0.05, 0.15, 0.01
_EXAMPLES = 40  # of a task, for refusals
_FILLER = 1000  # templates that a word that fills a slot counts as
_WEIGHTS = {
    "talk": 3,
    "everyday": 16,
    "names": 6,
    "other task": 2,
    "other language": 4,
    "other object": 20,
    "other kind": 6,
    "other verb": 16,
    "other word": 10,
    "other relation": 8,
    "other act": 20,
    "negation": 4,
    "negated": 3,
    "quantity": 4,
    "two commands": 3,
    "question": 20,
    "statement": 10,
    "mixed tasks": 5,
    "fragment": 1,
    "salad": 6,
}
"""How often a foil of a family is drawn."""


@dataclass(frozen=True)
class Effort:
    """How much is learned from, and for how long.

    Attributes:
        good: sentences that mean a task.
        foils: that mean none.
        judges: networks that vote, at most :data:`FOLDS`.
        epochs: passes over all sentences.
    """

    good: int = 12000
    foils: int = 24000
    judges: int = 4
    epochs: int = 4


@dataclass(frozen=True)
class JudgedSentence:
    """A sentence to learn from.

    Attributes:
        sentence: as it is read, with stand-ins for names.
        good: it means a task.
        fold: that it was made of.
        line: words of the line of taught sentences that it was made of.
        task: that the line is of.
    """

    sentence: str
    good: bool
    fold: int
    line: frozenset[str] = frozenset()
    task: str = ""


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
        samples: of both kinds.
        held_out: whether the good ones of each fold are of templates that no other fold has.
        counts: task to its words, each with the number of taught lines that hold it.
        vocabulary: words that several sentences hold.
        classes: of names that stand for each other.
        names: one of which every taught sentence says.
    """

    samples: tuple[JudgedSentence, ...]
    held_out: bool
    counts: Mapping[str, dict[str, int]]
    vocabulary: tuple[str, ...]
    classes: tuple[tuple[str, ...], ...]
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
    judges = [learned_judge(corpus, read, lesson, effort, number) for number in range(effort.judges)]
    examples, states = _examples(lesson.policy.tasks, encoder)
    settings = FamiliaritySettings(
        judges=len(judges),
        channels=_CHANNELS,
        counts=_summed(corpus.counts),
        vocabulary=corpus.vocabulary,
        examples=examples,
        names=corpus.names,
        classes=corpus.classes,
        lexical=True,
        by_task=dict(corpus.counts),
    )
    threshold = _threshold(judges, corpus, read)
    good = sum(sample.good for sample in corpus.samples)
    kinds = f"{good} sentences of {len(examples)} tasks and {len(corpus.samples) - good} others"
    return Familiarity(judges, states, settings, threshold, f"learned from {kinds}")


def make_corpus(
    tasks: Mapping[str, Sequence[str]], further: Mapping[str, Sequence[str]], effort: Effort, random: Random
) -> Corpus:
    """Sentences that mean the tasks, and foils, each of templates and wordings of one fold.

    Args:
        tasks: task to its taught sentences.
        further: task to more sentences that mean it.
        effort: how many of them.
        random: the source of all that is drawn.
    """
    whole = [taught_task(sentences, further.get(task, ()), task) for task, sentences in tasks.items()]
    classes = merged([fillers for task in whole for fillers in task.slots.classes])
    names = _names(whole)
    everything = {template for task in whole for template in task.templates}
    sentences = [sentence for known in tasks.values() for sentence in known]
    spelling, stand_ins = Spelling(sentences), StandIns(classes)
    denials = Denials(sentences, [name for fillers in classes for name in fillers])

    def as_read(sentence: str) -> ReadDenial:
        read = denials.read(spelling.read(sentence).sentence)
        return replace(read, rest=stand_ins.read(read.rest))

    divided = list(zip(*(_divided(task, random) for task in whole), strict=True))
    good: dict[str, JudgedSentence] = {}
    bad: dict[str, JudgedSentence] = {}
    for fold, (own, wordings) in enumerate(zip(divided, _divided_wordings(read_wordings()), strict=True)):
        maker = SentenceMaker(own, wordings, random, everything)
        for task, sentence, line in _taught(maker, dict(zip(tasks, own, strict=True)), effort.good // FOLDS, random):
            read = as_read(sentence)
            if not read.word:  # else it is refused without judges
                good.setdefault(read.rest, JudgedSentence(read.rest, True, fold, line, task))
        for sentence in _foils(maker, effort.foils // FOLDS, names, random):
            read = as_read(sentence)
            if not read.word and not read.left_out:
                bad.setdefault(read.rest, JudgedSentence(read.rest, False, fold))
    samples = [*good.values(), *(sample for sentence, sample in bad.items() if sentence not in good)]
    return Corpus(
        tuple(samples),
        all(own is not task for own, task in zip(divided[0], whole, strict=True)),
        {task: _counts(known) for task, known in zip(tasks, whole, strict=True)},
        _vocabulary([sample.sentence for sample in samples]),
        classes,
        names,
    )


def read_corpus(corpus: Corpus, encoder: MiniLMEncoder, lesson: Lesson) -> list[ReadSentence]:
    """What is learned from: the samples, read.

    A word of a good sentence is only as well known as other lines make it: so judges learn what to think of a
    paraphrase with words of its own.
    """
    states = {}
    with lesson.bar(len(corpus.samples), "reading sentences") as bar:
        for sentence, state in encoder.many([sample.sentence for sample in corpus.samples]):
            states[sentence] = seen_states(sentence, state, encoder).half()
            bar.update()
    known = tokenizer()
    assert known is not None  # the encoder has it
    numbers = numbered(corpus.vocabulary)
    read, counts = [], _summed(corpus.counts)
    for sample in corpus.samples:
        words = token_words(" ".join(sample.sentence.split()), known)
        levels = levels_by_task(words, *_without(sample, counts, corpus.counts))
        own = torch.tensor(numbers_of(words, numbers))
        read.append(ReadSentence(states[sample.sentence], torch.tensor(levels), own))
    return read


def _without(
    sample: JudgedSentence, counts: dict[str, int], by_task: Mapping[str, dict[str, int]]
) -> tuple[Mapping[str, int], Mapping[str, Mapping[str, int]]]:
    """Counts of words at all and of each task as if there were no such line as the sample's."""
    if not sample.line:
        return counts, by_task
    own = by_task[sample.task]
    return (
        ChainMap({word: counts[word] - 1 for word in sample.line}, counts),
        {**by_task, sample.task: ChainMap({word: own[word] - 1 for word in sample.line}, own)},
    )


def _summed(by_task: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Word to its number in all tasks."""
    counts: Counter[str] = Counter()
    for own in by_task.values():
        counts.update(own)
    return dict(sorted(counts.items()))


def _divided(task: TaughtTask, random: Random) -> list[TaughtTask]:
    """The task with the lines of each fold; with all of them each time where there are few."""
    lines = list(task.lines)
    random.shuffle(lines)
    if len(lines) < 2 * FOLDS:
        return [task] * FOLDS
    parts = []
    for fold in range(FOLDS):
        own = tuple(lines[fold::FOLDS])
        held = {template for line in own for template in line}
        commands = tuple(template for template in task.commands if template in held)
        parts.append(replace(task, lines=own, commands=commands))
    return parts


def _divided_wordings(wordings: Wordings) -> list[Wordings]:
    """Wordings of each fold."""
    lists = {entry.name: getattr(wordings, entry.name) for entry in fields(Wordings)}
    return [Wordings(**{name: lines[fold::FOLDS] for name, lines in lists.items()}) for fold in range(FOLDS)]


def _taught(
    maker: SentenceMaker, tasks: Mapping[str, TaughtTask], count: int, random: Random
) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Sentences of tasks, as many of each, each with its task and the words of the line that it was made of."""
    for name, task in tasks.items():
        weights = [min(_MOST_TEMPLATES, len(line)) for line in task.lines]
        for line in random.choices(task.lines, weights, k=count // len(tasks)):
            sentence = maker.taught(task, random.choice(line))
            if not refusal(sentence):
                yield name, sentence, _words_of_line(line)


def _words_of_line(line: Sequence[str]) -> frozenset[str]:
    return frozenset(word for template in line for word in words_of(template) if not word.isdigit())


def _foils(maker: SentenceMaker, count: int, names: Sequence[str], random: Random) -> tuple[str, ...]:
    """Foils of all families; of names, if there are any, only those that say one: the others need no judge."""
    makes = maker.foils()
    found: dict[str, None] = {}
    for family in random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count):
        sentence = maker.foil(makes[family])
        if sentence and not refusal(sentence) and says_one(sentence, names):
            found[sentence] = None
    return tuple(found)


def _counts(task: TaughtTask) -> dict[str, int]:
    """Word to the number of lines of a task that hold it."""
    counts: Counter[str] = Counter()
    for line in task.lines:
        counts.update(_words_of_line(line))
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


def learned_judge(corpus: Corpus, read: Sequence[ReadSentence], lesson: Lesson, effort: Effort, number: int) -> Judge:
    """One judge, that has seen no sentence of the fold of its number."""
    own = [n for n, sample in enumerate(corpus.samples) if sample.fold != number or not corpus.held_out]
    sentences, wanted = [read[n] for n in own], torch.tensor([float(corpus.samples[n].good) for n in own])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lesson.seed + number)
        judge = Judge(sentences[0].states.shape[1], len(corpus.vocabulary), _CHANNELS, levels=LEVELS_BY_TASK)
        torch.nn.init.zeros_(judge.word.weight)  # a word that only the fold that is left out says shall say nothing
        optimizer = torch.optim.AdamW(judge.parameters(), _RATE, weight_decay=0.05)
        batches_of_all = -(-len(sentences) // _BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, _RATE * 1.5, total_steps=effort.epochs * (batches_of_all + 60), pct_start=0.15
        )
        with lesson.bar(effort.epochs * len(sentences), f"judge {number + 1} of {effort.judges}") as bar:
            for _ in range(effort.epochs):
                for chosen in _batches(sentences):
                    states, levels, words, present = _padded([sentences[index] for index in chosen])
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


def _examples(tasks: Mapping[str, Sequence[str]], encoder: MiniLMEncoder) -> tuple[dict[str, tuple[str, ...]], Tensor]:
    """Some sentences of each task, and (S, D) the states of all of them."""
    examples = {}
    for task, sentences in tasks.items():
        good = [sentence for sentence in sentences if not refusal(sentence)]
        examples[task] = tuple(good[:: max(1, len(good) // _EXAMPLES)][:_EXAMPLES])
    shown = [sentence for known in examples.values() for sentence in known]
    if not shown:
        raise TextError("none of the sentences that the policy was taught can be read")
    return examples, torch.stack([pooled(encoder(sentence)) for sentence in shown])


def scores_held_out(judges: Sequence[Judge], corpus: Corpus, read: Sequence[ReadSentence]) -> tuple[Tensor, Tensor]:
    """Scores of good sentences and of foils, each by the judge that has not seen their fold."""
    scores: dict[bool, list[float]] = {True: [], False: []}
    for number, judge in enumerate(judges):
        own = [n for n, sample in enumerate(corpus.samples) if sample.fold == number]
        for start in range(0, len(own), _BATCH):
            some = own[start : start + _BATCH]
            with torch.inference_mode():
                found = judge(*_padded([read[n] for n in some])).double().sigmoid().tolist()
            for n, score in zip(some, found, strict=True):
                scores[corpus.samples[n].good].append(score)
    return torch.tensor(scores[True]).double(), torch.tensor(scores[False]).double()


def _threshold(judges: Sequence[Judge], corpus: Corpus, read: Sequence[ReadSentence]) -> Threshold:
    """What refuses :data:`REFUSED` of the good sentences held out; 0.5 where there are none."""
    good, foils = scores_held_out(judges, corpus, read)
    if not corpus.held_out or not len(good):
        return measured_threshold(0.5, (), foils)
    value = max(0.0, float(good.sort().values[int(REFUSED * len(good))]) - _ROUNDED)  # which itself is not refused
    return measured_threshold(value, good, foils)
