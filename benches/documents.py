"""A document in shared memory beside LMDB, from Python and from Rust, and beside a plain file.

Bytes in and bytes out on both sides; every write has another text than the last. LMDB is on tmpfs
with the fastest settings it has (`writemap`, no `sync`, no `metasync`), one transaction for each
read and write. It keeps whatever bytes it is given; a document's write checks that they are JSON,
so LMDB after such a check stands beside it too, without a goal.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import lmdb

from measure import interleaved, timed
from place import Place, Server
from row import Goal, Row, times
from texts import SMALL, realistic

SHARED_MEMORY = Path("/dev/shm")
HEED = Path(__file__).parent.parent / "target/bench-heed/release/otto-bench-heed"
LARGE = realistic(65536)
# How often a sample reads or writes.
COUNTS = {len(SMALL[0]): 2000, len(LARGE[0]): 100}
MAP_BYTES = 64 << 20
KEY = b"bench"
GOALS: dict[str, Goal] = {"read": times(2), "write": times(3)}


def measure(where: Place, server: Server) -> list[Row]:
    """Rows of design 5: 64 B and 64 KiB of JSON text."""
    os.environ.update(server.exports)
    try:
        with folder() as ours:
            python = [rows(cost, size) for size, cost in in_python(ours)]
            return [row for part in python for row in part] + in_rust(where, ours)
    finally:
        for name in server.exports:
            os.environ.pop(name, None)


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on tmpfs for the peers' files."""
    path = Path(tempfile.mkdtemp(prefix="bench-", dir=SHARED_MEMORY))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def in_python(space: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The cost of each side in seconds, by size of the text."""
    import otto

    with lmdb.open(
        str(space), map_size=MAP_BYTES, writemap=True, sync=False, metasync=False
    ) as database:
        for texts in (SMALL, LARGE):
            size = len(texts[0])
            region = otto.TaskDataRegion.create(f"bench{size}", 2 * size)
            count = COUNTS[size]
            sides = ours(region, texts, count) | theirs(database, texts, count)
            sides |= files(space / "file", texts, count)
            samples = {name: timed(work, count) for name, work in sides.items()}
            yield size, interleaved(samples, rounds=40, seconds=6)


def ours(region, texts: tuple[bytes, bytes], count: int) -> dict[str, Callable[[], None]]:
    def write() -> None:
        for text in islice(cycle(texts), count):
            region.write(text)

    def read() -> None:
        for _ in range(count):
            region.read()

    return {"write": write, "read": read}


def theirs(
    database: lmdb.Environment, texts: tuple[bytes, bytes], count: int
) -> dict[str, Callable[[], None]]:
    def write() -> None:
        for text in islice(cycle(texts), count):
            with database.begin(write=True) as transaction:
                transaction.put(KEY, text)

    def read() -> None:
        for _ in range(count):
            with database.begin() as transaction:
                transaction.get(KEY)

    return {"lmdb write": write, "lmdb read": read}


def files(path: Path, texts: tuple[bytes, bytes], count: int) -> dict[str, Callable[[], None]]:
    new = path.with_suffix(".new")

    def replace() -> None:
        for text in islice(cycle(texts), count):
            with open(new, "wb") as file:
                file.write(text)
            os.replace(new, path)

    def read() -> None:
        for _ in range(count):
            with open(path, "rb") as file:
                file.read()

    return {"file write": replace, "file read": read}


def rows(cost: dict[str, float], size: int) -> list[Row]:
    return [
        Row(
            f"document {what}, {words(size)}",
            cost[what] * 1e6,
            peer,
            cost[f"{name} {what}"] * 1e6,
            "us",
            goal,
        )
        for what in ("read", "write")
        for name, peer, goal in [
            ("lmdb", "py-lmdb", GOALS[what]),
            ("file", "a file on tmpfs", None),
        ]
    ]


def in_rust(where: Place, space: Path) -> list[Row]:
    """The same from a program in Rust that measures both sides itself, in turn."""
    names = []
    for text in (*SMALL, *LARGE):
        path = where.folder / f"text{len(names)}.json"
        path.write_bytes(text)
        names.append(str(path))
    database = space / "heed"
    database.mkdir()
    done = subprocess.run(
        [str(HEED), str(database), *names],
        env=where.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    found = []
    for line in done.stdout.splitlines():
        cost = json.loads(line)
        size = words(cost["bytes"])
        for what, peer, name, goal in [
            ("read", "heed", "heed_read", GOALS["read"]),
            ("write", "heed", "heed_write", GOALS["write"]),
            ("write", "heed, JSON checked", "heed_checked_write", None),
        ]:
            title = f"document {what}, {size}, Rust"
            found.append(Row(title, cost[what] / 1e3, peer, cost[name] / 1e3, "us", goal))
    return found


def words(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size >> 10} KiB"
