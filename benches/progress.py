"""Loops that report their progress."""

import os
import subprocess

from tqdm import tqdm

from measure import Sample, interleaved, timed
from place import Server
from row import Row, times

ITERATIONS = 300_000
# One loop of bash, timed by bash itself: how long the shell takes to start is no part of it.
SHELL = """
source "$OTTO_SH"
begin=$EPOCHREALTIME
for ((i = 1; i <= $1; i++)); do $2; done
echo "$begin $EPOCHREALTIME"
"""


def measure(server: Server) -> list[Row]:
    """Row of design 5: a progress update; ours goes to a server, theirs to nowhere."""
    import otto

    def loop(items) -> None:
        for _ in items:
            pass

    def cancelled() -> None:
        for _ in range(ITERATIONS):
            otto.cancelled()

    os.environ.update(server.exports)
    try:
        with open(os.devnull, "w") as nowhere:
            sides = {
                "ours": timed(lambda: loop(otto.progress(range(ITERATIONS))), ITERATIONS),
                "tqdm": timed(lambda: loop(tqdm(range(ITERATIONS), file=nowhere)), ITERATIONS),
                "bare": timed(lambda: loop(range(ITERATIONS)), ITERATIONS),
                "cancelled": timed(cancelled, ITERATIONS),
            }
            cost = interleaved(sides, rounds=40, seconds=6)
        shell = interleaved(
            {
                "ours": bash('otto_progress "$i" "$1" "item $i"', 10_000),
                "program": bash('command otto-progress "$i" "$1" "item $i"', 100),
                "bare": bash(":", 10_000),
            },
            rounds=9,
            seconds=10,
        )
    finally:
        for name in server.exports:
            os.environ.pop(name, None)
    ours = cost["ours"] * 1e9
    what = "progress loop, an iteration"
    return [
        Row(what, ours, "tqdm", cost["tqdm"] * 1e9, "ns", times(1)),
        Row(what, ours, "the bare loop", cost["bare"] * 1e9, "ns"),
        Row("cancelled() in a loop", cost["cancelled"] * 1e9, "tqdm", cost["tqdm"] * 1e9, "ns"),
        Row(
            "bash: a progress update",
            shell["ours"] * 1e6,
            "otto-progress",
            shell["program"] * 1e6,
            "us",
        ),
        Row(
            "bash: a progress update",
            shell["ours"] * 1e6,
            "the bare loop",
            shell["bare"] * 1e6,
            "us",
        ),
    ]


def bash(command: str, count: int) -> Sample:
    """A sample of `command` in a loop of bash: seconds for one."""

    def sample() -> float:
        run = subprocess.run(
            ["bash", "--norc", "-c", SHELL.replace("$2", command), "bash", str(count)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        begin, end = map(float, run.stdout.split())
        return (end - begin) / count

    return sample
