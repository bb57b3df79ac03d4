"""A line of the table: both sides, their ratio, the goal, and whether it is met."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """What to reach, in words and as a test of (ours, theirs)."""

    words: str
    holds: Callable[[float, float], bool]


def times(most: float) -> Goal:
    """At most `most` times what the peer takes."""
    return Goal(f"{most:g}x", lambda ours, theirs: ours <= most * theirs)


def rate(least: float) -> Goal:
    """At least `least` times the peer's rate."""
    return Goal(f"{least:g}x or more", lambda ours, theirs: ours >= least * theirs)


def below(most: float, unit: str) -> Goal:
    """Below `most`, whatever the peer takes."""
    return Goal(f"under {most:g} {unit}", lambda ours, _: ours < most)


@dataclass(frozen=True)
class Row:
    """Ours beside a peer's; both figures in `unit`."""

    what: str
    ours: float
    peer: str
    theirs: float
    unit: str
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """`met`, `MISSED`, or nothing where no goal is set."""
        if self.goal is None:
            return ""
        return "met" if self.goal.holds(self.ours, self.theirs) else "MISSED"

    def line(self) -> str:
        """As the table shows it."""
        ratio = f"{self.ours / self.theirs:.2f}x" if self.theirs > 0 else "-"
        goal = self.goal.words if self.goal else "-"
        ours, theirs = (f"{figure(value)} {self.unit}" for value in (self.ours, self.theirs))
        return columns(self.what, ours, self.peer, theirs, ratio, goal, self.verdict)


def figure(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def columns(
    what: str, ours: str, peer: str, theirs: str, ratio: str, goal: str, verdict: str
) -> str:
    """One line of the table."""
    line = f"{what:<31}{ours:>10}  {peer:<18}{theirs:>10}{ratio:>12}  {goal:<14}{verdict}"
    return line.rstrip()


HEADING = columns("", "ours", "peer", "theirs", "ours/theirs", "goal", "")
