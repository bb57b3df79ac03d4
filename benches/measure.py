"""Measuring both sides of a comparison in turn, so that a drifting machine moves both alike."""

import statistics
import time
from collections.abc import Callable, Mapping

# One sample: does the thing, returns what it cost.
Sample = Callable[[], float]


def interleaved(
    sides: Mapping[str, Sample], *, rounds: int, seconds: float, warm_up: int = 1
) -> dict[str, float]:
    """The median cost of each side: every round takes one sample of each, in rotating order.

    Stops after `rounds`, or once `seconds` are spent and each side has three samples.
    """
    for _ in range(warm_up):
        for sample in sides.values():
            sample()
    names = list(sides)
    costs: dict[str, list[float]] = {name: [] for name in names}
    end = time.perf_counter() + seconds
    for number in range(rounds):
        if number >= 3 and time.perf_counter() > end:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            costs[name].append(sides[name]())
    return {name: statistics.median(cost) for name, cost in costs.items()}


def timed(work: Callable[[], object], count: int = 1) -> Sample:
    """A sample of `work`, which does the thing `count` times: seconds for one."""

    def sample() -> float:
        begin = time.perf_counter()
        work()
        return (time.perf_counter() - begin) / count

    return sample
