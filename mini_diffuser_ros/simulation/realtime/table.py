"""What lies on the simulated table, and for which sentence."""

from __future__ import annotations

from mini_diffuser_ros.simulation import Goal, SimulationError, TabletopWorld
from mini_diffuser_ros.simulation.sentences import match_sentence
from mini_diffuser_ros.simulation.tasks import task_named
from mini_diffuser_ros.support.printable import printable

SHOWN = 80  # characters of a sentence that a line repeats


class Table:
    """Lays the table of a world for sentences. Each method returns a line that says what it did.

    Args:
        world: whose table it is.
        task: laid where a sentence names none.
        seed: of the first layout; every later one takes the next seed.

    Raises:
        SimulationError: if the task is unknown.
    """

    def __init__(self, world: TabletopWorld, task: str, seed: int) -> None:
        task_named(task, world.tasks)
        self._world = world
        self._task = task
        self._seed = seed - 1
        self._judged = False
        self._sentence = ""  # that is obeyed

    @property
    def goal(self) -> Goal | None:
        """What the world judges, None if the last sentence is none of its tasks."""
        return self._world.goal if self._judged else None

    @property
    def task(self) -> str:
        """Name of the present task, empty if there is none."""
        return self.goal.task if self.goal is not None else ""

    @property
    def sentence(self) -> str:
        """That is obeyed and by which success is judged; empty if there is none, or it is of no task here."""
        return self._sentence if self._judged else ""

    def succeeded(self) -> bool:
        """Whether the present goal is reached; never without a goal."""
        return self.goal is not None and self._world.success()

    def lay_for(self, sentence: str) -> str:
        """Lay the table anew for a sentence, or a random goal of the default task if it is empty or not understood."""
        goal = self._goal_of(sentence)
        problem = f"'{printable(sentence, SHOWN)}' is no task of this world; " if sentence and goal is None else ""
        return problem + self._reset(goal.task if goal is not None else self._task, self._seed + 1, goal)

    def take_up(self, sentence: str) -> str:
        """Make a sentence the goal: with the table as it is where that is possible, else with a new one.

        Raises:
            SimulationError: if several tasks could be meant; success is not judged then.
        """
        return self.keep(sentence) or self.lay_for(sentence)

    def keep(self, sentence: str) -> str:
        """Make a sentence the goal with the table as it is; empty where it has to be laid anew for that.

        Raises:
            SimulationError: if several tasks could be meant; success is not judged then.
        """
        self._judged, self._sentence = False, ""
        goal = self._goal_of(sentence)
        if goal is None:
            shown = printable(sentence, SHOWN)
            return f"'{shown}' is no task of this world: the table stays, and success is not judged"
        if self._world.has_objects_for(goal.task, goal.slots):
            self._world.pursue(goal)
            self._judged = True
            # What is done already cannot be done again: a block that lies on the other, say.
            if not self._world.success():
                return f"'{printable(sentence, SHOWN)}': {self._whereabouts()} ({goal.task})"
        return ""

    def _whereabouts(self) -> str:
        """Where the things are; a stop leaves in the hand what it held."""
        if held := self._world.held_body():
            return f"everything is there, and the gripper holds {held}"
        return "everything is on the table"

    def judge_by(self, sentence: str) -> bool:
        """Make a sentence that is obeyed the goal, with the table as it is; False if success is not judged then.

        That is so where it is none or several of this world's tasks, where something that it names is not on the
        table, and where what it asks for is done already.
        """
        try:
            self._judged = bool(self.keep(sentence)) and self._judged
        except SimulationError:  # judged is nothing, as where it is of no task
            self._judged = False
        self._sentence = sentence
        return self._judged

    def reset(self, task: str, sentence: str, seed: int) -> str:
        """Lay the table anew, or take a sentence up.

        Args:
            task: empty for that of the sentence, or the default.
            sentence: empty for a random goal.
            seed: negative for the next one; with a sentence and no task for :meth:`take_up`.

        Raises:
            SimulationError: if the task is unknown or is not that of the sentence, or if the sentence is of no task or
                of several.
        """
        if self.takes_up(task, sentence, seed):
            return self.take_up(sentence)
        goal = self._goal_of(sentence)
        if sentence and goal is None:
            tasks = ", ".join(self._world.tasks)
            raise SimulationError(f"'{printable(sentence, SHOWN)}' is no task of this world; tasks: {tasks}")
        wanted = task or (goal.task if goal is not None else self._task)
        return self._reset(wanted, seed if seed >= 0 else self._seed + 1, goal)

    @staticmethod
    def takes_up(task: str, sentence: str, seed: int) -> bool:
        """Whether :meth:`reset` leaves the table as it is where that is possible; arguments as there."""
        return bool(sentence) and not task and seed < 0

    def _reset(self, task: str, seed: int, goal: Goal | None) -> str:
        laid = self._world.reset(task, seed, goal)
        self._seed, self._judged, self._sentence = seed, True, ""
        return f"laid {laid.task} with seed {seed}, e.g. '{laid.sentences[0]}'"

    def _goal_of(self, sentence: str) -> Goal | None:
        matched = match_sentence(sentence, self._world.tasks)
        return None if matched is None else task_named(matched.task, self._world.tasks).goal(matched.slots)
