"""A float64 array handed from one Python process to another: ours, and the ways Python has.

Every round starts both processes anew and frees the memory at its end. Publishing begins with the
array in the producer's own memory (computing and publishing: with nothing, in place); opening
ends with the first element in the consumer's hands. Imports are not counted, on any side, nor is
the process that Python starts to track `SharedMemory`. A pickle has to be read while it is
written, so its two times are one.

Memory is what the kernel counts for the process above what it had before. Its peak includes pages
shared with others as soon as they are touched, for every kind of mapping, so it is taken from the
consumer when it has the first element. `private` is what is its alone (RssAnon), after it has
added up all elements: nobody else has that memory, and there it shows who copies.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path

from place import Place, Server, ending
from row import Row, below, times

MIB = 1 << 20
# Sizes in MiB.
SMALL, MIDDLE, LARGE = 1, 64, 1024
ROUNDS = 5
ROUNDS_MIN = 3
SECONDS = 30
# A source, what is handed over, and a copy of it at the same time, with room to spare.
NEEDED = 4 << 30
SHARED_MEMORY = Path("/dev/shm")
# No single step takes longer, or the bench ends.
SECONDS_MAX = 60

PEERS = {"share": "SharedMemory", "save": "np.save, np.load", "pickle": "pickle, a pipe"}


@dataclass(frozen=True)
class Round:
    """What one hand-over cost: seconds, and MiB of memory."""

    publish: float
    publish_peak: float
    open: float
    open_peak: float
    read_private: float


def measure(where: Place, server: Server) -> list[Row]:
    """Row of design 5: a dataset of 1 GiB, and that its size does not matter."""
    free = min(shutil.disk_usage(SHARED_MEMORY).free, available())
    if free < NEEDED:
        print(f"  left out: needs {NEEDED >> 30} GiB of memory, {free >> 30} are free")
        return []
    environment = where.environment | server.exports
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=SHARED_MEMORY))
    try:
        cost = rounds(environment, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return hand_over({side: found for (side, size), found in cost.items() if size == LARGE}) + [
        Row(
            f"{what}: open to first element",
            cost["put", size].open * 1e6,
            "ours, 1 MiB",
            cost["put", SMALL].open * 1e6,
            "us",
            times(2),
        )
        for what, size in [("64 MiB", MIDDLE), ("1 GiB", LARGE)]
    ]


def hand_over(cost: dict[str, Round]) -> list[Row]:
    ours, in_place = cost["put"], cost["create"]
    rows = [
        Row("1 GiB: publish", ours.publish * 1e3, peer, cost[side].publish * 1e3, "ms")
        for side, peer in PEERS.items()
    ]
    there = cost["share in place"].publish
    what = "1 GiB: compute and publish"
    rows.append(Row(what, in_place.publish * 1e3, "SharedMemory", there * 1e3, "ms"))
    for what, field, scale, unit, goal in [
        ("1 GiB: open to first element", "open", 1e3, "ms", below(1, "ms")),
        ("1 GiB: producer's peak", "publish_peak", 1, "MiB", None),
        ("1 GiB: consumer's peak", "open_peak", 1, "MiB", below(1, "MiB")),
        ("1 GiB: consumer's, private", "read_private", 1, "MiB", below(1, "MiB")),
    ]:
        for side, peer in PEERS.items():
            figures = [getattr(cost[name], field) * scale for name in ("put", side)]
            rows.append(Row(what, figures[0], peer, figures[1], unit, goal))
    return rows


def rounds(environment: dict[str, str], folder: Path) -> dict[tuple[str, int], Round]:
    """The medians by side and size; every round has each of them once, in rotating order."""
    sides = ["put", "create", *PEERS, "share in place"]
    kinds = [(side, LARGE) for side in sides] + [("put", SMALL), ("put", MIDDLE)]
    found: dict[tuple[str, int], list[Round]] = {kind: [] for kind in kinds}
    end = time.monotonic() + SECONDS
    for number in range(ROUNDS):
        if number >= ROUNDS_MIN and time.monotonic() > end:
            break
        turn = number % len(kinds)
        for kind in kinds[turn:] + kinds[:turn]:
            found[kind].append(one(environment, folder, *kind))
    names = [field.name for field in fields(Round)]
    return {
        kind: Round(*(statistics.median(getattr(cost, name) for cost in costs) for name in names))
        for kind, costs in found.items()
    }


def one(environment: dict[str, str], folder: Path, side: str, size: int) -> Round:
    """One round, in two new processes."""
    count = str(size * MIB // 8)
    name = f"bench-{os.getpid()}"
    names = [str(folder / "array.npy")] * 2 if side == "save" else [name, name]
    with ExitStack() as stack:
        pipe = []
        if side == "pickle":
            pipe = list(os.pipe())
            names = [str(pipe[1]), str(pipe[0])]
        producer = started(environment, ["produce", side, names[0], count], pipe[1:])
        stack.enter_context(ending(producer))
        consumer = started(environment, ["consume", side, names[1], count], pipe[:1])
        stack.enter_context(ending(consumer))
        for end in pipe:
            os.close(end)
        for process in (producer, consumer):
            answer(process)
        go(producer)
        if pipe:
            go(consumer)
            published, opened = (json.loads(answer(process)) for process in (producer, consumer))
        else:
            published = json.loads(answer(producer))
            go(consumer)
            opened = json.loads(answer(consumer))
        producer.stdin.close()
        producer.wait(SECONDS_MAX)
    return Round(
        published["seconds"],
        published["peak"],
        opened["seconds"],
        opened["peak"],
        opened["read"]["private"],
    )


def started(environment: dict[str, str], words: list[str], ends: list[int]) -> subprocess.Popen:
    program = [sys.executable, str(Path(__file__).with_name("handover.py"))]
    return subprocess.Popen(
        program + words,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=ends,
    )


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def answer(process: subprocess.Popen) -> str:
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{' '.join(process.args[2:])} ended, status {process.wait(SECONDS_MAX)}")
    return line


def available() -> int:
    """Memory that programs could still have, in bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = next(line for line in lines if line.startswith("MemAvailable"))
    return int(found.split()[1]) * 1024
