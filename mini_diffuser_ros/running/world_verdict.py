"""Whether the simulated world confirms a run: by what it says of that very sentence, after the run has begun."""

from __future__ import annotations

from dataclasses import dataclass, replace

SUCCESS, JUDGED = "sim/success", "sim/instruction"
"""Topics: whether the present task is done, and the obeyed sentence by which that is judged."""


@dataclass
class RunVerdict:
    """What the world says of one run.

    Attributes:
        sentence: that is obeyed.
        done: what the world said last of its task, None if nothing yet.
        judged: the sentence by which it judges that, empty for none; None if it does not tell.
        was_undone: whether the task was not done when the run began, or at some time since.
    """

    sentence: str = ""
    done: bool | None = None
    judged: str | None = None
    was_undone: bool = False

    @property
    def confirms(self) -> bool:
        """Whether the run did what was not done before, and the sentence asked for it."""
        return self.was_undone and bool(self.done) and self.judged in (None, self.sentence)


class WorldVerdicts:
    """Follows what the world says, for one run after another. What is said after the next began is of that one.

    Both topics are latched: a success may be that of an earlier run, long before.
    """

    def __init__(self) -> None:
        self._run = RunVerdict()

    def begin(self, sentence: str) -> RunVerdict:
        """A run begins; returns what will be said of it."""
        self._run = replace(self._run, sentence=sentence, was_undone=self._run.done is False)
        return self._run

    def hear_done(self, done: bool) -> None:
        """The world says whether its task is done."""
        self._run.done = done
        self._run.was_undone = self._run.was_undone or not done

    def hear_judged(self, sentence: str) -> None:
        """The world says by which sentence it judges that."""
        self._run.judged = sentence
