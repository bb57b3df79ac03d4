"""Documents."""

import json
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time

import otto
import pytest
from conftest import python


def test_a_document(server: otto.Server) -> None:
    with pytest.raises(otto.NotFound):
        otto.TaskDataRegion.open("build")
    region = otto.TaskDataRegion.create("build", 4096)
    assert region.read_json() is None
    assert region.read() == b""
    assert (region.task, region.path) == ("build", f"/dev/shm/otto-{server.run_id}-build")
    value = {"a": [1, "é", None], "big": 2**70}
    region.write_json(value)
    assert otto.TaskDataRegion.open("build").read_json() == value
    assert otto.get("build.big", via="mmap") == 2**70
    region.write(b'{"b":1.10}')
    assert region.read() == b'{"b":1.10}'
    region.update({"c": [2], "b": 2})
    assert region.read_json() == {"b": 2, "c": [2]}
    region.write_json("x" * 100_000)
    assert len(region.read_json()) == 100_000, "it grows"
    with pytest.raises(otto.UsageError):
        region.write(b"{nonsense")
    with pytest.raises(otto.UsageError):
        region.update({1: 2})  # type: ignore[dict-item]
    with pytest.raises(otto.UsageError):
        otto.TaskDataRegion.create("a.b")


def test_three_lines_of_python_read_and_write_it(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("task_a")
    region.write_json({"key": "value"})
    with open(region.path, "r+b") as file:
        mm = mmap.mmap(file.fileno(), 0)
        length = int.from_bytes(mm[0:4], "little")
        assert json.loads(mm[4 : 4 + length]) == {"key": "value"}
        json_data = json.dumps({"other": 1}).encode()
        mm[0:4] = len(json_data).to_bytes(4, "little")
        mm[4 : 4 + len(json_data)] = json_data
        mm.flush()
    assert region.read_json() == {"other": 1}


def test_no_update_is_lost(server: otto.Server) -> None:
    code = (
        "import otto, sys\n"
        "region = otto.TaskDataRegion.create('shared')\n"
        "for step in range(100):\n"
        "    region.update({f'{sys.argv[1]}.{step}': step})\n"
        "    otto.incr('shared.sum', via='mmap')\n"
    )
    writers = [
        threading.Thread(target=lambda n=n: python(f"import sys; sys.argv.append('{n}')\n{code}"))
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = otto.TaskDataRegion.open("shared").read_json()
    assert found.pop("sum") == 400
    assert len(found) == 400


def test_a_child_forked_beside_a_busy_thread_can_use_its_handle(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("busy")
    region.write_json("x" * 2_000_000)
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            region.read()
            region.write(b'"' + b"y" * 2_000_000 + b'"')

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for _ in range(40):
            child = os.fork()
            if child == 0:
                # A signal that Python is not asked about, should it hang.
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(20)
                whole = len(region.read()) == 2_000_002
                region.write(b'"' + b"z" * 2_000_000 + b'"')
                os._exit(0 if whole else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()


def test_a_document_after_a_fork(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("forked")
    region.write_json({})

    def work(number: int) -> None:
        for step in range(100):
            region.update({f"{number}.{step}": step})

    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    work(3)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(region.read_json()) == 400


def test_waiting_for_a_key_and_for_a_change(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("t")
    with pytest.raises(otto.TimedOut):
        region.wait("ready", timeout=0.01)
    with pytest.raises(otto.TimedOut):
        region.wait(timeout=0.01)
    code = "import otto; otto.TaskDataRegion.open('t').update({'ready': [1]})"
    writer = threading.Thread(target=python, args=(code,))
    writer.start()
    assert region.wait("ready", timeout=20) == [1]
    writer.join()
    assert region.wait("ready", timeout=0) == [1]
    region.write_json({"a": 1})
    with pytest.raises(otto.TimedOut):
        region.wait(timeout=0.01)
    otto.set("t.b", 2, via="mmap")
    assert region.stat()["generation"] == 3
    assert region.wait(timeout=20) == {"a": 1, "b": 2}, "a look is no read"
    region.write_json([])
    with pytest.raises(otto.Corrupt):
        region.wait("a", timeout=1)


def test_writers_wake_those_who_wait(server: otto.Server) -> None:
    """Each turn of each side is a wake-up: two hundred of any polling would take much longer."""
    region = otto.TaskDataRegion.create("t")
    region.write_json(0)
    code = """if True:
        import otto
        region = otto.TaskDataRegion.open("t")
        while (turn := region.read_json()) < 200:
            if turn % 2 == 0:
                turn = region.wait(timeout=20)
            if turn % 2 == 1:
                region.write_json(turn + 1)
        """
    took = []
    while len(took) < 3 and min(took, default=1) > 0.5:
        region.write_json(0)
        with subprocess.Popen([sys.executable, "-c", code]) as other:
            start = 0.0
            for turn in range(1, 200, 2):
                region.write_json(turn)
                assert region.wait(timeout=20) == turn + 1
                # The other side has begun with the first turn.
                start = start or time.monotonic()
            took.append(time.monotonic() - start)
        assert other.returncode == 0
    assert min(took) < 0.5


def test_a_waiter_whose_writer_is_killed(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("t")
    code = """if True:
        import otto
        region = otto.TaskDataRegion.open("t")
        step = 0
        while True:
            step += 1
            region.update({"step": step, "text": "x" * (step % 5000)})
        """
    for _ in range(10):
        region.write_json({"step": 0})
        with subprocess.Popen([sys.executable, "-c", code]) as writer:
            seen = region.wait(timeout=20)
            while seen["step"] < 20:
                seen = region.wait(timeout=20)
            assert region.stat()["writer"] == writer.pid
            writer.kill()
            writer.wait()
        # What it wrote last is whole, and nobody waits for what it held.
        last = region.read_json()
        assert last["step"] >= seen["step"]
        assert len(last["text"]) == last["step"] % 5000
        stat = region.stat()
        assert (stat["writer"], stat["writer_alive"]) == (writer.pid, False)
        with pytest.raises(otto.TimedOut):
            region.wait("never", timeout=0.001)
        python("import otto; otto.TaskDataRegion.open('t').update({'after': True})")
        assert region.wait("after", timeout=20) is True


def test_timeouts(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("t")
    for timeout in 0, -1, 0.05:
        for key in None, "never":
            start = time.monotonic()
            with pytest.raises(otto.TimedOut, match="timeout: ") as caught:
                region.wait(key, timeout=timeout)
            assert max(0, timeout) <= time.monotonic() - start < 5
            assert "\n" not in str(caught.value)
    with pytest.raises(otto.UsageError, match="NaN"):
        region.wait(timeout=float("nan"))
    region.update({"there": None})
    assert region.wait("there", timeout=float("inf")) is None
    with pytest.raises(TypeError):
        region.wait("there", 1)  # type: ignore[misc]


def test_others_use_the_region_while_one_waits_with_it(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("t")
    found = []
    waiter = threading.Thread(target=lambda: found.append(region.wait("late", timeout=20)))
    waiter.start()
    for step in range(100):
        region.update({"step": step})
        assert region.read_json() == {"step": step}
    region.update({"late": True})
    waiter.join()
    assert found == [True]
    assert region.read_json() == {"step": 99, "late": True}


def test_a_removed_document(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("t")
    region.write_json({"a": 1})
    stat = region.stat()
    assert stat == {
        "bytes": 7,
        "size": 65536,
        "generation": 1,
        "writer": os.getpid(),
        "writer_alive": True,
    }
    ended = []

    def wait() -> None:
        with pytest.raises(otto.NotFound) as caught:
            region.wait("never", timeout=20)
        ended.append(caught.value)

    waiter = threading.Thread(target=wait)
    waiter.start()
    otto.TaskDataRegion.open("t").remove()
    waiter.join()
    assert ended
    for call in [region.remove, region.stat, region.read_json]:
        with pytest.raises(otto.NotFound):
            call()
