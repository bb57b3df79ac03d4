"""One end of handing an array over: a program that datasets.py starts anew for each round.

`handover.py produce|consume SIDE NAME ELEMENTS` says on standard output that it is ready, waits for
a line, does its part, says in JSON what that cost; a producer then keeps what it has until its
input ends. What a side imports is imported before, also what it would import when first used.
"""

import json
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from fcntl import F_SETPIPE_SZ, fcntl
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy
import otto
import otto._numpy

PIPE_BYTES = 1 << 20
VALUE = 0.5

# A producer is ready at its first yield, done at its second; then it cleans up.
Producer = Callable[[str, int], Iterator[None]]
# A consumer returns the array and whatever keeps it alive.
Consumer = Callable[[str, int], tuple[numpy.ndarray, object]]


def put(name: str, count: int) -> Iterator[None]:
    source = numpy.full(count, VALUE)
    yield
    otto.put_dataset(name, source)
    yield
    otto.remove_dataset(name)


def create(name: str, count: int) -> Iterator[None]:
    yield
    with otto.create_dataset(name, dtype="f8", shape=(count,)) as array:
        array[:] = VALUE
    yield
    otto.remove_dataset(name)


def share(name: str, count: int) -> Iterator[None]:
    source = numpy.full(count, VALUE)
    yield
    memory = SharedMemory(name, create=True, size=8 * count)
    array = numpy.ndarray(count, buffer=memory.buf)
    array[:] = source
    yield
    unlink(memory, array)


def share_in_place(name: str, count: int) -> Iterator[None]:
    yield
    memory = SharedMemory(name, create=True, size=8 * count)
    array = numpy.ndarray(count, buffer=memory.buf)
    array[:] = VALUE
    yield
    unlink(memory, array)


def unlink(memory: SharedMemory, array: numpy.ndarray) -> None:
    del array
    memory.unlink()


def save(name: str, count: int) -> Iterator[None]:
    source = numpy.full(count, VALUE)
    yield
    numpy.save(name, source)
    yield
    Path(name).unlink()


def send(name: str, count: int) -> Iterator[None]:
    source = numpy.full(count, VALUE)
    with open(int(name), "wb") as pipe:
        fcntl(pipe, F_SETPIPE_SZ, PIPE_BYTES)
        yield
        pickle.dump(source, pipe, protocol=5)
        pipe.flush()
        yield


def opened(name: str, _count: int) -> tuple[numpy.ndarray, object]:
    return otto.open_dataset(name).numpy(), None


def attached(name: str, count: int) -> tuple[numpy.ndarray, object]:
    memory = SharedMemory(name)
    return numpy.ndarray(count, buffer=memory.buf), memory


def loaded(name: str, _count: int) -> tuple[numpy.ndarray, object]:
    return numpy.load(name, mmap_mode="r"), None


def received(name: str, _count: int) -> tuple[numpy.ndarray, object]:
    with open(int(name), "rb") as pipe:
        return pickle.load(pipe), None


SIDES: dict[str, tuple[Producer, Consumer]] = {
    "put": (put, opened),
    "create": (create, opened),
    "share": (share, attached),
    "share in place": (share_in_place, attached),
    "save": (save, loaded),
    "pickle": (send, received),
}


def memory() -> dict[str, int]:
    """What the kernel says of this process's memory, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    pairs = (line.split(":", 1) for line in lines)
    return {name: int(rest.split()[0]) for name, rest in pairs if name.startswith(("VmHWM", "Rss"))}


def fresh_peak() -> dict[str, int]:
    """As `memory`, after the peak was set back to what there is now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory()


def growth(before: dict[str, int]) -> dict[str, float]:
    """MiB more than `before`: the most there ever was, and what is this process's alone now."""
    now = memory()
    peak, private = now["VmHWM"] - before["VmHWM"], now["RssAnon"] - before["RssAnon"]
    return {"peak": peak / 1024, "private": private / 1024}


def told() -> None:
    """Waits for a line, or the end, of standard input."""
    print("ready", flush=True)
    sys.stdin.readline()


def produce(side: str, name: str, count: int) -> None:
    steps = SIDES[side][0](name, count)
    next(steps)
    told()
    before = fresh_peak()
    begin = time.perf_counter()
    next(steps)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, **growth(before)}), flush=True)
    sys.stdin.readline()
    next(steps, None)


def consume(side: str, name: str, count: int) -> None:
    # It would start a process of its own in the first attach, and remove what is not its own.
    resource_tracker.ensure_running()
    told()
    before = fresh_peak()
    begin = time.perf_counter()
    array, kept = SIDES[side][1](name, count)
    first = array[0]
    seconds = time.perf_counter() - begin
    touched = growth(before)
    if first != VALUE or array.sum() != VALUE * count:
        raise SystemExit(f"{side}: the array that came is not the one that went")
    print(json.dumps({"seconds": seconds, **touched, "read": growth(before)}), flush=True)
    if isinstance(kept, SharedMemory):
        resource_tracker.unregister(f"/{name}", "shared_memory")
    # Unmapping is the kernel's affair at the end; SharedMemory would complain of the array.
    os._exit(0)


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](*sys.argv[2:4], int(sys.argv[4]))
