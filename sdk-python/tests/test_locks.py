"""Locks and barriers: of threads, processes and tasks, and of those that die."""

import asyncio
import multiprocessing.pool
import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import otto
import pytest
from conftest import ServerProcess, eventually, python


def holders(name: str) -> list[dict[str, Any]]:
    return next((lock["holders"] for lock in otto.locks() if lock["name"] == name), [])


def waiting(name: str) -> int:
    return next((lock["waiting"] for lock in otto.locks() if lock["name"] == name), 0)


def test_a_block_holds_it_and_its_end_frees_it(server: otto.Server) -> None:
    lock = otto.lock("db")
    assert lock.token is None
    with lock as token:
        assert lock.token == token
        (held,) = otto.locks("d*")
        assert (held["name"], held["slots"], held["waiting"]) == ("db", 1, 0)
        assert [(holder["token"], holder["pid"]) for holder in held["holders"]] == [
            (token, os.getpid())
        ]
        assert held["holders"][0]["seconds"] >= 0
        assert otto.locks("other*") == []
    assert lock.token is None
    assert otto.locks() == []
    with pytest.raises(LookupError), lock as later:
        raise LookupError
    assert later > token
    assert otto.locks() == []
    assert repr(lock) == 'otto.lock("db", slots=1)'


def test_acquire_and_release(server: otto.Server) -> None:
    lock = otto.lock("db")
    token = lock.acquire()
    assert lock.token == token
    lock.release()
    assert otto.locks() == []
    with pytest.raises(otto.UsageError, match="does not hold lock db"):
        lock.release()
    with lock:
        lock.release()
    assert otto.locks() == []


def test_it_does_not_nest(server: otto.Server) -> None:
    lock = otto.lock("db")
    with lock:
        for again in lock, otto.lock("db"), otto.OttoClient().lock("db"):
            with pytest.raises(otto.UsageError, match="holds lock db already"):
                again.acquire()
        with otto.lock("other"):
            assert len(otto.locks()) == 2
    lock.acquire()
    lock.release()


def test_one_thread_at_a_time(server: otto.Server) -> None:
    shared, inside, seen = otto.lock("db"), [0], []

    def work(lock: otto.Lock) -> None:
        for _ in range(30):
            with lock as token:
                inside[0] += 1
                assert inside[0] == 1
                seen.append(token)
                inside[0] -= 1

    threads = [
        threading.Thread(target=work, args=[lock], daemon=True)
        for lock in (shared, shared, otto.lock("db"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(seen) == 90
    assert seen == sorted(seen), "tokens grow from holder to holder"


def test_as_many_as_there_are_slots(server: otto.Server) -> None:
    full = threading.Barrier(4, timeout=10)

    def work() -> None:
        with otto.lock("pool", slots=3):
            full.wait()
            full.wait()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    full.wait()
    assert len(holders("pool")) == 3
    with pytest.raises(otto.TimedOut):
        otto.lock("pool", slots=3, timeout=0.02).acquire()
    with pytest.raises(otto.OttoError, match=r"3.*2|2.*3"):
        otto.lock("pool", slots=2).acquire()
    full.wait()
    for thread in threads:
        thread.join(10)
    assert otto.locks() == []


def test_a_timeout_leaves_nobody_in_the_queue(server: otto.Server) -> None:
    with otto.lock("db"):

        def late() -> None:
            lock = otto.lock("db", timeout=0.05)
            with pytest.raises(TimeoutError, match="db"):
                lock.acquire()
            with pytest.raises(TimeoutError):
                lock.acquire()

        thread = threading.Thread(target=late)
        thread.start()
        thread.join(10)
        assert waiting("db") == 0


HOLD = """if True:
    import otto, sys
    lock = otto.lock("db")
    print(lock.acquire(), flush=True)
    sys.stdin.read()
    """


def hold() -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert int(process.stdout.readline()) > 0
    return process


def test_whatever_ends_the_holder_frees_it(server: otto.Server) -> None:
    for ending in signal.SIGKILL, signal.SIGTERM, None:
        with hold() as process:
            assert holders("db")[0]["pid"] == process.pid
            if ending:
                process.send_signal(ending)
            else:
                assert process.stdin
                process.stdin.close()
            with otto.lock("db", timeout=10):
                pass


def test_a_forked_child_does_not_hold_it_and_does_not_keep_it(server: otto.Server) -> None:
    """The child lives on, with a copy of every descriptor, when its parent is killed."""
    code = """if True:
        import os, otto, sys, threading
        held, idle = otto.lock("db"), otto.lock("idle")
        with idle: pass
        token = held.acquire()
        waiter = threading.Thread(target=otto.lock("taken").acquire, daemon=True)
        waiter.start()
        while not any(lock["waiting"] for lock in otto.locks("taken")): pass
        if os.fork() == 0:
            assert held.token is None
            try: held.release()
            except otto.UsageError: print("not ours", os.getpid(), flush=True)
            with otto.lock("child"): sys.stdin.read()
            with held: print("ours", flush=True)
            os._exit(0)
        os.wait()
        """
    with otto.lock("taken"):
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stdin
        said, pid = process.stdout.readline().rsplit(maxsplit=1)
        assert said == "not ours"
        eventually(lambda: holders("child"))
        assert holders("child")[0]["pid"] == int(pid)
        assert holders("db")[0]["pid"] == process.pid
        process.kill()
        with otto.lock("db", timeout=10):
            pass
        eventually(lambda: waiting("taken") == 0)
        process.stdin.close()
        assert process.stdout.readline() == "ours\n"
        process.wait()
        process.stdout.close()


def test_leaving_the_block_in_a_forked_child_gives_nothing_back(server: otto.Server) -> None:
    with otto.lock("db") as token:
        child = os.fork()
    if child == 0:
        os._exit(0 if otto.lock("db").token is None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with otto.lock("db"):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert holders("db")[0]["token"] > token


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_one_process_at_a_time(server: otto.Server, tmp_path, method: str) -> None:
    script = tmp_path / "workers.py"
    script.write_text(
        "import multiprocessing, otto, sys\n"
        "def work(number):\n"
        "    for _ in range(20):\n"
        "        with otto.lock('db'):\n"
        "            otto.set('sum', otto.get('sum', 0) + 1)\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(4) as pool:\n"
        "        pool.map(work, range(4))\n"
    )
    subprocess.run([sys.executable, str(script), method], check=True, timeout=60)
    assert otto.get("sum") == 80


def test_an_object_that_goes_frees_what_it_held(server: otto.Server) -> None:
    otto.lock("db").acquire()
    with otto.lock("db", timeout=10):
        pass


def test_a_lost_server_is_told_when_it_is_given_back(server_process: ServerProcess) -> None:
    with pytest.raises(otto.Unreachable), otto.lock("db"):
        server_process.kill()
    with pytest.raises(otto.Unreachable), otto.lock("db"):
        pass


def test_what_the_block_raised_comes_first(server_process: ServerProcess) -> None:
    with pytest.raises(LookupError), otto.lock("db"):
        server_process.kill()
        raise LookupError


def test_bad_arguments(server: otto.Server) -> None:
    for slots in 0, -1, 1 << 40:
        with pytest.raises(otto.UsageError, match="slots"):
            otto.lock("db", slots=slots)
    for count in 0, -1, 1 << 40:
        with pytest.raises(otto.UsageError, match="count"):
            otto.barrier("b", count)
    with pytest.raises(otto.UsageError):
        otto.lock("a b")
    with pytest.raises(otto.UsageError, match="NaN"):
        otto.lock("db", timeout=float("nan"))


def test_all_go_on_once_all_have_come(server: otto.Server) -> None:
    def work(_round: int) -> int:
        return otto.barrier("ready", 3, timeout=20)

    with multiprocessing.pool.ThreadPool(3) as pool:
        for _ in range(20):
            assert sorted(pool.map(work, range(3), chunksize=1)) == [1, 2, 3]


def test_who_gives_up_a_barrier_has_not_come(server: otto.Server) -> None:
    with pytest.raises(TimeoutError, match="ready"):
        otto.barrier("ready", 2, timeout=0.02)
    interrupted = (
        "import os, otto, signal, threading\n"
        "threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()\n"
        "try: otto.barrier('ready', 2)\n"
        "except KeyboardInterrupt: print('left')\n"
        "try: otto.barrier('ready', 2, timeout=0.1)\n"
        "except TimeoutError: print('alone')\n"
    )
    assert python(interrupted) == "left\nalone\n"
    with pytest.raises(TimeoutError):
        otto.barrier("ready", 2, timeout=0.02)


def test_another_count_is_refused(server: otto.Server) -> None:
    first = threading.Thread(target=otto.barrier, args=("ready", 2), daemon=True)
    first.start()
    eventually(lambda: otto.stats()["waiting"] == 1)
    with pytest.raises(otto.OttoError, match="are to be 2, not 3"):
        otto.barrier("ready", 3)
    assert otto.barrier("ready", 2, timeout=10) == 2
    first.join(10)


def test_one_task_at_a_time(server: otto.Server) -> None:
    lock, inside, seen = otto.lock("db"), [0], []

    async def work() -> None:
        for _ in range(5):
            async with lock as token:
                inside[0] += 1
                assert inside[0] == 1
                seen.append(token)
                await asyncio.sleep(0)
                inside[0] -= 1

    async def main() -> None:
        await asyncio.gather(*[work() for _ in range(10)])

    asyncio.run(main())
    assert len(seen) == 50
    assert seen == sorted(seen)
    assert otto.locks() == []


def test_a_task_that_is_cancelled_neither_waits_nor_holds(server: otto.Server) -> None:
    lock = otto.lock("db")

    async def hold(entered: asyncio.Event) -> None:
        async with lock:
            entered.set()
            await asyncio.sleep(60)

    async def main() -> None:
        entered = asyncio.Event()
        first = asyncio.create_task(hold(entered))
        await entered.wait()
        second = asyncio.create_task(hold(asyncio.Event()))
        while waiting("db") == 0:
            await asyncio.sleep(0)
        second.cancel()
        while waiting("db") == 1:
            await asyncio.sleep(0)
        first.cancel()
        async with asyncio.timeout(10):
            async with lock:
                pass

    asyncio.run(main())
    assert otto.locks() == []


def test_a_task_does_not_nest_and_has_its_timeout(server: otto.Server) -> None:
    async def main() -> None:
        async with otto.lock("db"):
            with pytest.raises(otto.UsageError, match="nest"):
                async with otto.lock("db"):
                    pass
            waiter = asyncio.create_task(otto.lock("db", timeout=0.05).__aenter__())
            with pytest.raises(TimeoutError, match="db"):
                await waiter

    asyncio.run(main())


def test_the_loop_goes_on_while_a_task_waits(server: otto.Server) -> None:
    async def main() -> int:
        with otto.lock("db"):
            waiter = asyncio.create_task(otto.lock("db").__aenter__())
            ticks, until = 0, time.monotonic() + 0.1
            while time.monotonic() < until:
                ticks += 1
                await asyncio.sleep(0)
            assert not waiter.done()
        await asyncio.wait_for(waiter, 10)
        return ticks

    assert asyncio.run(main()) > 100
