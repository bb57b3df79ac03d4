"""Views, forks, threads and the end of Python: nothing crashes and nothing is left."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import otto
import pytest
from conftest import mapped, python

numpy = pytest.importorskip("numpy")


def descriptors_and_mappings() -> tuple[int, int]:
    with open("/proc/self/maps") as maps:
        return len(os.listdir("/proc/self/fd")), len(maps.readlines())


def memory_used() -> int:
    """Bytes of this process that belong to no file."""
    with open("/proc/self/smaps_rollup") as lines:
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def use(name: str) -> dict[str, Callable[[], Any]]:
    """Ways to open and let go of a dataset; an array `a`, a table `t`."""

    def fill() -> None:
        with otto.create_dataset("c", "u1", 5000) as array:
            array[0] = 1

    def fail() -> None:
        try:
            with otto.create_dataset("c", "u1", 5000):
                raise KeyError
        except KeyError:
            pass

    return {
        "view": lambda: otto.get_dataset("a"),
        "numpy": lambda: otto.open_dataset("a").numpy()[5:][::2].T,
        "released": lambda: otto.get_dataset("a").release(),
        "table": lambda: otto.open_dataset("t").arrow().column(0).slice(1, 2),
        "polars": lambda: otto.open_dataset("t").polars(),
        "put": lambda: otto.put_dataset("p", b"x" * 5000),
        "put_table": lambda: otto.put_dataset("q", otto.open_dataset("t").arrow()),
        "create": fill,
        "fail": fail,
        "shared": lambda: otto.SharedMemory(5000).buf,
        "region": lambda: otto.TaskDataRegion.create("r").update({"a": 1}),
        "opened": lambda: otto.TaskDataRegion.open("a").wait("key", timeout=1),
        "stat": lambda: otto.TaskDataRegion.open("a").stat(),
        "file": lambda: otto.put_dataset("p", pathlib.Path("/proc/version")),
    }[name]()


NAMES = ["view", "numpy", "released", "put", "create", "fail", "shared"]
NAMES += ["region", "opened", "stat", "file"]
TABLES = ["table", "polars", "put_table"]


@pytest.mark.parametrize("name", NAMES + TABLES)
def test_ten_thousand_times_leave_nothing(server: otto.Server, name: str) -> None:
    otto.put_dataset("a", numpy.arange(1000.0))
    otto.TaskDataRegion.create("a").write_json({"key": "value"})
    if name in TABLES:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("polars")
        otto.put_dataset("t", pyarrow.table({"a": range(1000)}))
    for _ in range(20):
        use(name)
    gc.collect()
    before, used = descriptors_and_mappings(), memory_used()
    for _ in range(10_000):
        use(name)
    gc.collect()
    descriptors, mappings = descriptors_and_mappings()
    assert descriptors == before[0]
    # An allocator may map some more.
    assert mappings <= before[1] + 20
    assert memory_used() < used + (8 << 20)
    assert mapped("a") == mapped("c") == mapped("p") == []


def test_reading_takes_no_memory_of_ones_own(server: otto.Server) -> None:
    size = 64 << 20
    otto.put_dataset("a", bytes(size))
    used = memory_used()
    array = otto.open_dataset("a").numpy()
    assert array.sum() == 0
    assert memory_used() < used + (4 << 20)
    otto.put_dataset("b", array)
    assert memory_used() < used + (4 << 20), "nor is anything kept after writing"


def test_views_of_many_generations(server: otto.Server) -> None:
    views = []
    for number in range(200):
        otto.put_dataset("a", bytes([number]) * 5000)
        views.append(otto.get_dataset("a"))
    otto.remove_dataset("a")
    assert [view[4999] for view in views] == list(range(200))
    assert len(mapped("a")) == 200
    views.clear()
    assert mapped("a") == []


def test_cycles_are_collected(server: otto.Server) -> None:
    class Holder:
        def __init__(self) -> None:
            self.me = self
            self.dataset = otto.open_dataset("a")
            self.array = self.dataset.numpy()
            self.view = memoryview(self.dataset)
            self.memory = otto.SharedMemory(4096).buf
            self.writer = otto.create_dataset("c", "u1", 5)
            self.filled = self.writer.__enter__()

    otto.put_dataset("a", numpy.arange(10_000))
    holders = [Holder() for _ in range(50)]
    gone = [weakref.ref(holder) for holder in holders]
    assert mapped("a")
    del holders
    gc.collect()
    assert [reference() for reference in gone] == [None] * 50
    assert mapped("a") == mapped("c") == []


def test_a_child_has_its_parents_views(server: otto.Server) -> None:
    otto.put_dataset("a", numpy.arange(10_000))
    view, array = otto.get_dataset("a"), otto.open_dataset("a").numpy()
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            ok = view[9_999] == array[9_999] == 9_999
            del view, array
            gc.collect()
            again = otto.open_dataset("a").numpy()
            otto.put_dataset("b", again[::-1])
            os._exit(0 if ok and again[1] == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert view[9_999] == array[9_999] == 9_999
    assert otto.open_dataset("b").generation == 20


def test_forking_while_other_threads_copy(server: otto.Server) -> None:
    stop = threading.Event()
    data = bytes(4 << 20)

    def busy(name: str) -> None:
        while not stop.is_set():
            otto.put_dataset(name, data)
            assert otto.get_dataset(name).nbytes == len(data)

    threads = [threading.Thread(target=busy, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for number in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            otto.put_dataset(f"child{number}", b"x")
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    for thread in threads:
        thread.join()
    assert len(otto.list_datasets()) == 23


AT_EXIT = {
    "globals": "view = otto.get_dataset('a'); array = otto.open_dataset('a').numpy()",
    "table": "table = otto.open_dataset('t').arrow(); frame = otto.open_dataset('t').polars()",
    "builder": "writer = otto.create_dataset('c', 'u1', 9); array = writer.__enter__()",
    "published": "writer = otto.create_dataset('c', 'u1', 9)\nwith writer as array: array[:] = 1",
    "shared": "memory = otto.SharedMemory(9); view = memory.buf; array = numpy.asarray(memory)",
    "region": "region = otto.TaskDataRegion.create('r'); region.update({'a': 1})",
    "cycle": "view = []; view += [view, otto.get_dataset('a'), otto.open_dataset('a')]",
    "module": "sys.view = otto.get_dataset('a'); threading.dataset = otto.open_dataset('a')",
    "atexit": "import atexit; atexit.register(lambda view=otto.get_dataset('a'): print(view[0]))",
    "no otto": "view = otto.get_dataset('a'); del sys.modules['otto'], sys.modules['otto._otto']",
    "daemons": """
def work(call):
    while True: call()
def fill():
    with otto.create_dataset('d', 'u1', 1 << 20) as array: array[:] = 1
for call in (
    lambda: otto.put_dataset('b', bytes(1 << 20)),
    lambda: otto.open_dataset('a').numpy().sum(),
    lambda: otto.TaskDataRegion.create('r').wait('never'),
    fill,
):
    threading.Thread(target=work, args=(call,), daemon=True).start()
while not {'b', 'd'} <= set(otto.list_datasets()): pass
""",
}


@pytest.mark.parametrize("name", AT_EXIT)
def test_python_exits_with_views_open(server: otto.Server, name: str) -> None:
    otto.put_dataset("a", numpy.arange(1000))
    if name == "table":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("polars")
        otto.put_dataset("t", pyarrow.table({"a": range(1000)}))
    code = "import numpy, otto, sys, threading\n" + AT_EXIT[name]
    for _ in range(5 if name == "daemons" else 1):
        run = subprocess.run([sys.executable, "-X", "dev", "-c", code], capture_output=True)
        assert (run.returncode, run.stderr) == (0, b"")


def test_python_killed_while_it_fills_leaves_nothing(server: otto.Server) -> None:
    code = (
        "import os, otto\n"
        "with otto.create_dataset('c', 'u1', 5_000_000) as array:\n"
        "    array[:] = 1\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    run = subprocess.run([sys.executable, "-c", code])
    assert run.returncode == -signal.SIGKILL
    assert otto.list_datasets() == []
    assert [name for name in os.listdir("/dev/shm") if f"{server.run_id}.ds-c" in name] == []


def test_other_threads_run_while_one_copies(server: otto.Server) -> None:
    given = {"bytes": bytes(256 << 20), "scattered": memoryview(bytes(128 << 20))[::2]}
    for data in given.values():
        done = threading.Event()

        def work(data: Any = data, done: threading.Event = done) -> None:
            otto.put_dataset("a", data)
            done.set()

        thread = threading.Thread(target=work)
        thread.start()
        ticks = 0
        while not done.is_set() and ticks < 20_000:
            ticks += 1
        thread.join()
        # A thread that held the GIL would have left a handful.
        assert ticks > 1000


def test_a_view_in_another_process_outlives_the_removal(server: otto.Server) -> None:
    otto.put_dataset("a", numpy.arange(1000))
    code = (
        "import otto\n"
        "array = otto.open_dataset('a').numpy()\n"
        "otto.remove_dataset('a')\n"
        "print(otto.list_datasets(), array.sum())\n"
    )
    assert python(code) == "[] 499500\n"


def test_what_is_held_takes_no_descriptor(server: otto.Server) -> None:
    otto.put_dataset("a", numpy.arange(10))
    before = descriptors_and_mappings()[0]
    held = [otto.get_dataset("a") for _ in range(20)]
    held += [otto.open_dataset("a").numpy() for _ in range(20)]
    assert descriptors_and_mappings()[0] == before
    assert all(view[9] == 9 for view in held)
