"""``mini-diffuser assess``: teach a policy what it knows about itself, on top of its network, which stays as it is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from mini_diffuser_ros.commands.arguments import MOST, number_between, whole_number_from
from mini_diffuser_ros.commands.info import knowledge_lines
from mini_diffuser_ros.commands.parser import CommandParser
from mini_diffuser_ros.policy import load_policy, read_checkpoint, tune_cpu
from mini_diffuser_ros.policy.errors import CheckpointError
from mini_diffuser_ros.policy.knowledge.knowledge import Knowledge, read_knowledge, write_knowledge
from mini_diffuser_ros.sentences import read_sentences
from mini_diffuser_ros.support.errors import UserError
from mini_diffuser_ros.support.files import make_writable
from mini_diffuser_ros.support.settings import SettingsError, unknown_name
from mini_diffuser_ros.training.config import DataConfig
from mini_diffuser_ros.training.dataset import split
from mini_diffuser_ros.training.demonstrations import Demonstration, Survey, fuse_demonstrations, survey_demonstrations
from mini_diffuser_ros.training.knowledge.learning import LEARNERS, learn
from mini_diffuser_ros.training.knowledge.lesson import Demonstrations, Lesson
from mini_diffuser_ros.training.robots import robot_faults

log = logging.getLogger(__name__)

_MOST_HELD_OUT = 0.5


def main(arguments: list[str]) -> int:
    """Run the command; returns 0."""
    values = _parser().parse_args(arguments)
    names = _chosen(values.parts)
    folder: Path = values.checkpoint
    checkpoint = read_checkpoint(folder, with_knowledge=False)
    policy = load_policy(folder, values.device, with_knowledge=False)
    if not policy.tasks:
        raise UserError(f"{folder}: does not say which sentences it was taught, so there is nothing to learn from")
    known = Knowledge() if set(names) == set(LEARNERS) else _known(folder)
    data = DataConfig(
        path=values.data,
        fusion={} if policy.fusion is None else asdict(policy.fusion),
        workers=values.workers,
        validation_share=values.validation_share,
    )
    survey = survey_demonstrations(data)
    survey = _of_tasks(survey, tuple(policy.tasks), values.data)
    if faults := [*robot_faults(survey.episodes, {str(folder): checkpoint.world.robots})]:
        raise UserError(faults[0])
    if policy.fusion != survey.fusion:
        raise UserError(f"{values.data}: its clouds are fused in another way than those the policy was trained on")
    make_writable(folder, "CHECKPOINT")
    cache = Path(values.cache) if values.cache else folder / "cache"

    def load() -> Demonstrations:
        make_writable(cache, "--cache")
        usable = fuse_demonstrations(survey, data, cache).demonstrations
        return _divided(usable, survey, checkpoint.trained_on) or Demonstrations(
            *split(usable, values.validation_share, values.seed)
        )

    tune_cpu(values.threads)
    further = _further(values.sentences, tuple(policy.tasks))
    learned = learn(Lesson(policy, load, values.seed, further), names, known)
    write_knowledge(learned, folder, checkpoint.weights_sha256)
    sys.stdout.write("\n".join(knowledge_lines(read_checkpoint(folder), str(folder))) + "\n")
    return 0


def _of_tasks(survey: Survey, tasks: Sequence[str], data: str) -> Survey:
    """The survey without episodes of tasks that a policy was not taught, which are named.

    Raises:
        UserError: nothing is left.
    """
    own = tuple(one for one in survey.episodes if one.task in tasks)
    if not own:
        raise UserError(f"{data}: has none of the policy's tasks, which are {', '.join(tasks)}")
    if others := sorted({one.task for one in survey.episodes if one.task not in tasks}):
        left = len(survey.episodes) - len(own)
        log.warning("%d demonstrations are left out, of tasks that it was not taught: %s", left, ", ".join(others))
    return replace(survey, episodes=own)


def _divided(usable: list[Demonstration], survey: Survey, trained_on: Sequence[str]) -> Demonstrations | None:
    """Demonstrations by what a policy was trained on, as far as it says that; None if nothing is left to hold out."""
    if not trained_on:
        return None
    known = {one.stored.source for one in survey.episodes if one.digest.hex() in set(trained_on)}
    training = [one for one in usable if one.source in known]
    held_out = [one for one in usable if one.source not in known]
    if not held_out or not training:
        what = "it was trained on all of them" if training else "it was trained on none of them"
        log.warning("%s; they are divided by --seed and --validation-share, and thresholds may be too good", what)
        return None
    log.info("held out are the %d demonstrations of %d that it was not trained on", len(held_out), len(usable))
    return Demonstrations(training, held_out)


def _parser() -> CommandParser:
    parser = CommandParser(
        "assess",
        description="Teach a policy what it knows about itself, from the demonstrations that it was trained on: which "
        "sentences it was taught, whether what they name is in the scene, when a task is done. Its weights stay.",
        epilog="What a policy says it was not trained on is held out. For one that does not say it, seed and share "
        "are those of the training, which its card tells: then what was held out there is here.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="policy directory; it gets the knowledge")
    parser.add_argument("--data", required=True, metavar="RECORDINGS", help="demonstrations that it was trained on")
    parser.add_argument("--parts", default="", help=f"which of {', '.join(LEARNERS)} (default: all)")
    parser.add_argument(
        "--sentences",
        default="",
        metavar="FILE",
        help="YAML, a task to a list of more sentences that mean it and that the policy understands",
    )
    parser.add_argument("--seed", type=whole_number_from(0), default=0, help="of the split and of all that is drawn")
    parser.add_argument(
        "--validation-share",
        type=number_between(0.0, _MOST_HELD_OUT),
        default=DataConfig().validation_share,
        help="of each task's demonstrations, held out",
    )
    parser.add_argument("--cache", default="", help="directory of fused clouds (default: cache in the checkpoint)")
    parser.add_argument("--device", default="cpu", help="where the policy computes")
    parser.add_argument("--threads", type=whole_number_from(1, MOST), default=1, help="CPU threads")
    parser.add_argument("--workers", type=whole_number_from(1, 256), default=1, help="processes that fuse clouds")
    return parser


def _chosen(parts: str) -> list[str]:
    """Names of parts from words separated by commas; all where there are none."""
    names = [name.strip() for name in parts.split(",") if name.strip()] or list(LEARNERS)
    for name in names:
        if name not in LEARNERS:
            raise UserError(f"--parts: {unknown_name(name, tuple(LEARNERS), 'part')}")
    return names


def _further(file: str, tasks: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Task to more sentences, from a file; none without one.

    Raises:
        SettingsError: it is no such file, or of a task that the policy was not taught.
    """
    if not file:
        return {}
    found = read_sentences(file)
    for task in found:
        if task not in tasks:
            raise SettingsError(task, f"is unknown: {unknown_name(task, tasks, 'task')}", file)
    return found


def _known(folder: Path) -> Knowledge:
    """What it knows already.

    Raises:
        CheckpointError: it is damaged, and has to be learned as a whole.
    """
    try:
        return read_knowledge(folder, read_checkpoint(folder))
    except CheckpointError as error:
        raise CheckpointError(f"{error}; leave out --parts to learn all of it anew") from error
