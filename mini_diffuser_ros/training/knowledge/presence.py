"""Learning whether what a sentence names is in the scene, from questions that demonstrations answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit, logit
from torch import Tensor

from mini_diffuser_ros.policy import Policy
from mini_diffuser_ros.policy.knowledge.facts import Threshold
from mini_diffuser_ros.policy.knowledge.presence import ROLES, Presence, PresenceHead, point_features, scene_logits
from mini_diffuser_ros.policy.scene import scene_points
from mini_diffuser_ros.training.demonstrations import Demonstration
from mini_diffuser_ros.training.errors import DatasetError
from mini_diffuser_ros.training.knowledge.lesson import Lesson
from mini_diffuser_ros.training.knowledge.questions import TURNS, UNSURE, Question, Questions
from mini_diffuser_ros.training.knowledge.thresholds import measured_threshold

QUESTIONS = 5000
MOST = 60
HELD_OUT = 10  # questions of each demonstration by which the threshold is set
STEPS = 900
BATCH = 48  # questions a step
LEARNING_RATE, WEIGHT_DECAY, CLIP = 2e-3, 0.02, 2.0
NAMED_WEIGHT = 4.0  # of a point of what is named against another one, of which there are many
SCENE_WEIGHT = 0.5
PARAPHRASED = 0.7  # how often the head reads another paraphrase than the network
REFUSED = 0.01  # share of scenes with all that is named that may be refused
_TINY = 1e-9
_TOGETHER = 16  # scenes encoded at once


@dataclass(frozen=True, eq=False)
class Answered:
    """A question as the head reads it.

    Attributes:
        features: (P, C) of the network's points, half precision.
        named: (P, ROLES) int8, as of :class:`Question`.
        present: (ROLES,) int8, likewise.
        sentence: that was asked.
        paraphrases: of it, itself among them.
    """

    features: Tensor
    named: Tensor
    present: Tensor
    sentence: str
    paraphrases: tuple[str, ...]


def learn_presence(lesson: Lesson, questions: int = QUESTIONS, steps: int = STEPS) -> Presence:
    """The head with its threshold.

    Args:
        lesson: what to learn from.
        questions: to learn from, in all; of one demonstration at most :data:`MOST`.
        steps: of learning.

    Raises:
        DatasetError: no demonstration acts on anything that its clouds show, or none is held out.
    """
    training, held_out = lesson.demonstrations.training, lesson.demonstrations.held_out
    random = np.random.default_rng([lesson.seed, 1])
    asked = _ask_all(training, random, min(MOST, max(1, questions // max(1, len(training)))))
    checked = _ask_all(held_out, random, HELD_OUT)
    if not asked or not checked:
        raise DatasetError("too few demonstrations that act on something to learn from, or none held out")
    if len({bool((question.present == 1).all()) for question in checked if _is_sure(question)}) < 2:
        raise DatasetError("no demonstrations held out of which some scene shows all that is named and some does not")
    tokens = lesson.token_states(sentence for question in (*asked, *checked) for sentence in question.paraphrases)
    with lesson.bar(len(asked) + len(checked) + steps, "learning what is there") as bar:
        answered, held = (answer(lesson.policy, tokens, several, bar.update) for several in (asked, checked))
        torch.manual_seed(lesson.seed)
        head = PresenceHead(lesson.policy.config)
        for loss in losses(head, answered, tokens, random, steps):
            bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            bar.update()
    learned_from = f"{len(asked)} questions on {len(training)} demonstrations"
    return Presence(head, threshold_of(probabilities(head, held, tokens), held), learned_from)


def answer(
    policy: Policy, tokens: Mapping[str, Tensor], questions: Sequence[Question], tell: Callable[[int], object]
) -> list[Answered]:
    """Questions through the frozen network, those of about equal size together.

    Args:
        policy: whose network.
        tokens: states of their sentences.
        questions: in any order.
        tell: called with the number of those that are done since.
    """
    order = sorted(range(len(questions)), key=lambda number: len(questions[number].cloud))
    answered: dict[int, Answered] = {}
    for start in range(0, len(order), _TOGETHER):
        numbers = order[start : start + _TOGETHER]
        together = _answer_together(policy, tokens, [questions[number] for number in numbers])
        answered.update(zip(numbers, together, strict=True))
        tell(len(numbers))
    return [answered[number] for number in range(len(questions))]


def losses(
    head: PresenceHead,
    answered: Sequence[Answered],
    tokens: Mapping[str, Tensor],
    random: np.random.Generator,
    steps: int,
) -> Iterator[float]:
    """Train the head, a loss a step; it is in evaluation mode afterwards."""
    optimiser = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    head.train()
    for _ in range(steps):
        drawn = [answered[number] for number in random.integers(len(answered), size=BATCH)]
        loss = _loss(head, [_paraphrased(one, random) for one in drawn], tokens)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), CLIP)
        optimiser.step()
        schedule.step()
        yield float(loss.detach())
    head.eval()


@torch.inference_mode()
def probabilities(
    head: PresenceHead, answered: Sequence[Answered], tokens: Mapping[str, Tensor]
) -> NDArray[np.float64]:
    """(Q,) probability that everything is there, of each question."""
    chunks = [answered[start : start + BATCH] for start in range(0, len(answered), BATCH)]
    logits = torch.cat([_read(head, chunk, tokens)[1] for chunk in chunks])
    return logits.min(1).values.double().sigmoid().numpy().astype(np.float64)


def threshold_of(scores: NDArray[np.float64], answered: Sequence[Answered]) -> Threshold:
    """Between scenes with and without what is named, so that fewest are taken for the other.

    Among those of the first at most :data:`REFUSED` are refused. Of all values that are as good but for a case or so on
    either side, which is chance, it is the middle one, so that it leaves room on both sides.
    """
    present = np.array([one.present.numpy() for one in answered])
    good, bad = scores[(present == 1).all(1)], scores[(present == 0).any(1)]
    candidates = np.unique(scores)
    wrong = np.array([(good < value).mean() + (bad >= value).mean() for value in candidates])
    allowed = np.array([(good < value).mean() <= REFUSED for value in candidates])
    fewest = np.where(allowed, wrong, np.inf).min()
    as_good = candidates[allowed & (wrong <= fewest + 1.0 / len(good) + 1.0 / len(bad))]
    middle = expit(np.median(logit(as_good.clip(_TINY, 1.0 - _TINY))))
    return measured_threshold(float(middle), good, bad)


def _is_sure(question: Question) -> bool:
    """Whether it is known that all is there, or that something is not."""
    return bool((question.present == 1).all() or (question.present == 0).any())


def _ask_all(demonstrations: Sequence[Demonstration], random: np.random.Generator, each: int) -> list[Question]:
    """So many questions of each demonstration, of all kinds in turn."""
    questions = Questions(demonstrations)
    asked = [
        questions.ask(number, TURNS[(number * each + turn) % len(TURNS)], random)
        for number in range(len(questions))
        for turn in range(each)
    ]
    return [question for question in asked if question is not None]


@torch.inference_mode()
def _answer_together(policy: Policy, tokens: Mapping[str, Tensor], questions: Sequence[Question]) -> Iterator[Answered]:
    model = policy.model
    scenes = [scene_points(question.cloud, model.config) for question in questions]
    points = torch.cat([torch.from_numpy(scene.points) for scene in scenes]).to(model.device)
    counts = torch.tensor([len(scene.points) for scene in scenes])
    batch = torch.repeat_interleave(torch.arange(len(scenes)), counts).to(model.device)
    words = [tokens[question.sentence] for question in questions]
    lengths = torch.tensor([len(word) for word in words], device=model.device)
    encoded = model.encode(points, batch, torch.cat(words).to(model.device), lengths)
    features = point_features(encoded, points).half().cpu()
    of_scene, places = encoded.levels[0].batch.cpu(), points.index_select(0, encoded.source)[:, :3].cpu().numpy()
    for number, (question, scene) in enumerate(zip(questions, scenes, strict=True)):
        rows = (of_scene == number).nonzero()[:, 0]
        _, nearest = cKDTree(question.cloud.points - scene.centre).query(places[rows.numpy()])
        yield Answered(
            features[rows].clone(),
            torch.from_numpy(question.named[nearest]),
            torch.from_numpy(question.present),
            question.sentence,
            question.paraphrases,
        )


def _paraphrased(one: Answered, random: np.random.Generator) -> Answered:
    """The same for the head in other words: it has seen more sentences then than the network was asked with."""
    if random.random() >= PARAPHRASED:
        return one
    return replace(one, sentence=one.paraphrases[int(random.integers(len(one.paraphrases)))])


def _read(head: PresenceHead, drawn: Sequence[Answered], tokens: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (N, ROLES) of the points of questions, those of their scenes (B, ROLES), and (N,) the scene of each."""
    counts = torch.tensor([len(one.features) for one in drawn])
    batch = torch.repeat_interleave(torch.arange(len(drawn)), counts)
    words = [tokens[one.sentence] for one in drawn]
    lengths = torch.tensor([len(word) for word in words])
    logits = head(torch.cat([one.features for one in drawn]).float(), batch, torch.cat(words), lengths)
    return logits, scene_logits(logits, batch, len(drawn)), batch


def _loss(head: PresenceHead, drawn: Sequence[Answered], tokens: Mapping[str, Tensor]) -> Tensor:
    """Of each question the lower of two: named in the order of acting, or in the other one.

    Which of two things is lifted and which lies below is hard to read from a sentence ("have the red cube hold up the
    blue one"), and nobody asks: both must be there. So the head may call either the first (permutation-invariant
    training, Yu et al. 2017).
    """
    points, scenes, batch = _read(head, drawn, tokens)
    named, present = torch.cat([one.named for one in drawn]), torch.stack([one.present for one in drawn])
    orders = []
    for roles in permutations(range(ROLES)):
        of_points = _cross_entropy(points, named[:, roles], NAMED_WEIGHT).sum(1)
        of_scenes = _cross_entropy(scenes, present[:, roles], 1.0).sum(1)
        orders.append(
            of_points.new_zeros(len(drawn)).index_add(0, batch, of_points) / (named != UNSURE).sum()
            + SCENE_WEIGHT * of_scenes / (present != UNSURE).sum()
        )
    return torch.stack(orders).amin(0).sum()


def _cross_entropy(logits: Tensor, answers: Tensor, weight: float) -> Tensor:
    """Of each logit, 0 where nobody knows the answer.

    Args:
        logits: of any shape.
        answers: of the same, 1, 0 or UNSURE.
        weight: of an answer 1 against a 0.
    """
    known, target = answers != UNSURE, answers.clamp(min=0).float()
    each = F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(weight), reduction="none")
    return each * known
