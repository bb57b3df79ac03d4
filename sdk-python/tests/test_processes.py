"""Threads, forks, descriptors."""

import array
import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import otto
import pytest
from conftest import eventually, python


@pytest.mark.parametrize("call", ["wait", "subscribe", "input", "region", "get"])
def test_other_threads_run_while_one_waits(server_process, call: str) -> None:
    events = otto.subscribe(timeout=0.3)
    rows = otto.input_pipe("rows", timeout=0.3)
    region = otto.TaskDataRegion.create("t")
    calls = {
        "wait": lambda: otto.wait("never", timeout=0.3),
        "subscribe": lambda: next(events),
        "input": lambda: next(rows),
        "region": lambda: region.wait(timeout=0.3),
        "get": lambda: otto.get("a", default=None),
    }
    done = threading.Event()

    def work() -> None:
        if call == "get":
            calls["get"]()
        else:
            with pytest.raises(otto.TimedOut):
                calls[call]()
        done.set()

    if call == "get":
        server_process.stop_answering()
    waiter = threading.Thread(target=work)
    waiter.start()
    ticks = 0
    while not done.is_set() and ticks < 20_000:
        ticks += 1
    # A thread that held the GIL would have left a handful.
    assert ticks > 1000
    if call == "get":
        assert not done.is_set()
        os.kill(server_process.process.pid, signal.SIGCONT)
    assert done.wait(10)
    waiter.join()


def test_a_forked_child_has_its_own_connections(server: otto.Server) -> None:
    otto.set("a", "x" * 1000)
    client = otto.OttoClient()

    def work(number: int) -> None:
        for step in range(300):
            otto.set(f"key{number}", step)
            assert otto.get(f"key{number}") == step
            assert client.get("a") == "x" * 1000

    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(number,)) for number in range(4)]
    for child in children:
        child.start()
    work(4)
    for child in children:
        child.join(30)
        assert child.exitcode == 0


def test_forking_while_other_threads_are_in_calls(server: otto.Server) -> None:
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            otto.incr("count")

    threads = [threading.Thread(target=busy) for _ in range(3)]
    threads.append(threading.Thread(target=lambda: otto.wait("stop")))
    for thread in threads:
        thread.start()
    bar = otto.progress(total=100)
    for number in range(50):
        bar.update()
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            bar.update()
            bar.close()
            otto.set(f"child{number}", otto.incr("count"))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    stop.set()
    otto.set("stop", True)
    for thread in threads:
        thread.join(10)
    assert len(otto.list_keys("child*")) == 50
    assert bar.current == 50


def test_a_subscription_belongs_to_the_process_that_made_it(server: otto.Server) -> None:
    events = otto.subscribe(timeout=10)
    child = os.fork()
    if child == 0:
        try:
            next(events)
        except otto.UsageError:
            del events
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    otto.set("a", 1)
    assert next(events).key == "a"


def test_a_forked_child_that_leaves_the_block_ends_nothing(server: otto.Server) -> None:
    child = os.fork()
    if child == 0:
        server.__exit__(None, None, None)
        os._exit(0)
    os.waitpid(child, 0)
    otto.set("a", 1)
    assert otto.get("a") == 1


def test_no_descriptor_is_left_open() -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    def use_everything() -> None:
        with otto.serve():
            otto.set("a", 1)
            otto.get_many(["a", "b"])
            with otto.subscribe() as events:
                otto.set("a", 2)
                next(events)
            otto.subscribe().close()
            otto.put_dataset("d", b"abc")
            otto.get_dataset("d")
            region = otto.TaskDataRegion.create("t")
            region.write_json({})
            otto.set("t.x", 1, via="mmap")
            list(otto.progress([1]))
            otto.SharedMemory(10)
            rows = otto.input_pipe("s")
            reader = threading.Thread(target=lambda: list(rows))
            reader.start()
            with otto.output_pipe("s") as out:
                out.write(1)
            reader.join()

    use_everything()
    before = descriptors()
    for _ in range(30):
        use_everything()
    assert descriptors() == before
    with otto.serve():
        otto.set("a", 1)
        before = descriptors()
        for _ in range(300):
            client = otto.OttoClient()
            client.get("a")
            otto.subscribe("x*")
        assert descriptors() <= before + 1


def test_a_daemon_thread_in_a_call_lets_python_exit(server: otto.Server) -> None:
    code = (
        "import otto, threading\n"
        "events = otto.subscribe()\n"
        "def busy():\n"
        "    while True: otto.incr('count')\n"
        "for call in [lambda: otto.wait('never'), lambda: next(events), busy]:\n"
        "    threading.Thread(target=call, daemon=True).start()\n"
        "otto.wait('count', timeout=20)\n"
    )
    for _ in range(10):
        python(code)


def test_a_killed_process_leaves_others_working(server: otto.Server) -> None:
    code = "import otto\nwhile True: otto.incr('count'); otto.set('t.x', 1, via='mmap')"
    for _ in range(10):
        before = otto.get("count", default=0)
        child = subprocess.Popen([sys.executable, "-c", code])
        eventually(lambda before=before: otto.get("count", default=0) > before + 20)
        child.kill()
        child.wait()
    assert otto.get("t.x", via="mmap") == 1
    assert otto.incr("count") > 200


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_started_in_any_way(server: otto.Server, tmp_path, method: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(
        "import array, multiprocessing, otto, sys\n"
        "def work(number):\n"
        "    numbers = otto.get_dataset('numbers')\n"
        "    otto.put_dataset(f'square{number}', array.array('q', [numbers[number] ** 2]))\n"
        "    otto.TaskDataRegion.open('done').update({str(number): True})\n"
        "    return otto.incr('count')\n"
        "if __name__ == '__main__':\n"
        "    view = otto.get_dataset('numbers')\n"
        "    region = otto.TaskDataRegion.create('done')\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:\n"
        "        counts = pool.map(work, range(40))\n"
        "    assert sorted(counts) == list(range(1, 41))\n"
        "    assert len(region.read_json()) == 40\n"
        "    squares = [otto.get_dataset(f'square{number}')[0] for number in range(40)]\n"
        "    assert squares == [number**2 for number in view]\n"
    )
    otto.put_dataset("numbers", array.array("q", range(40)))
    subprocess.run([sys.executable, str(script), method], check=True, timeout=60)
