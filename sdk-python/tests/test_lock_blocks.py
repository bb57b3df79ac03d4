"""Blocks that hold a lock: how they are left, where, and by whom."""

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor

import otto
import pytest
from conftest import ServerProcess, python


def held() -> int:
    return sum(len(lock["holders"]) for lock in otto.locks("db"))


def holding(lock: otto.Lock) -> Generator[int]:
    with lock as token:
        yield token


async def aholding(lock: otto.Lock) -> AsyncGenerator[int]:
    async with lock as token:
        yield token


async def enter(generator: AsyncGenerator[int]) -> int:
    return await anext(generator)


@pytest.mark.parametrize(
    ("sent", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "SystemExit")]
)
def test_a_signal_while_a_failed_block_is_left(
    server_process: ServerProcess, sent: str, raised: str
) -> None:
    """The server is stopped, so that giving the lock back waits until the signal comes."""
    code = f"""if True:
        import os, signal, sys, threading, time
        import otto

        def state(path):
            with open(path + "/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0]

        def interrupt():
            # Asleep twice in a row, so not merely waiting for the GIL.
            seen = 0
            while seen < 20:
                seen = seen + 1 if state(f"/proc/self/task/{{os.getpid()}}") == "S" else 0
                time.sleep(0.001)
            os.kill(os.getpid(), signal.{sent})

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            with otto.lock("db"):
                os.kill({server_process.process.pid}, signal.SIGSTOP)
                while state("/proc/{server_process.process.pid}") != "T":
                    pass
                threading.Thread(target=interrupt, daemon=True).start()
                raise LookupError
        except BaseException as error:
            print(type(error).__name__, type(error.__context__).__name__)
        """
    assert python(code) == f"{raised} LookupError\n"


def test_a_block_that_ends_in_another_task(server: otto.Server) -> None:
    lock = otto.lock("db")

    async def main() -> None:
        stack = contextlib.AsyncExitStack()
        await asyncio.create_task(stack.enter_async_context(lock))
        assert held() == 1
        await asyncio.create_task(stack.aclose())
        assert held() == 0
        async with lock:
            assert held() == 1

    asyncio.run(main())


def test_a_block_of_an_async_generator_that_nobody_reads_on(server: otto.Server) -> None:
    """asyncio finalises it in a task of its own, after which the one that began may ask again."""
    lock = otto.lock("db")

    async def main() -> None:
        async for _ in aholding(lock):
            break
        async with asyncio.timeout(10):
            while held():
                gc.collect()
                await asyncio.sleep(0)
            async with otto.lock("db"), otto.lock("other"):
                pass
            async with lock:
                pass

    asyncio.run(main())


def test_a_block_that_ends_in_another_thread(server: otto.Server) -> None:
    lock = otto.lock("db")
    generator = holding(lock)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(next, generator).result(10) > 0
        assert held() == 1
        generator.close()
        assert held() == 0
        for again in lock, otto.lock("db"):
            with again:
                pass
            other.submit(again.acquire).result(10)
            other.submit(again.release).result(10)


def test_a_block_of_a_task_that_is_destroyed(server: otto.Server) -> None:
    """Its loop is closed, so that no task leaves the block."""
    lock = otto.lock("db")

    async def hold(entered: asyncio.Event) -> None:
        async with lock:
            entered.set()
            await asyncio.Event().wait()

    async def main() -> asyncio.Task[None]:
        entered = asyncio.Event()
        task = asyncio.create_task(hold(entered))
        await entered.wait()
        return task

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    task = loop.run_until_complete(main())
    loop.close()
    assert held() == 1
    del task
    gc.collect()
    assert held() == 0


@pytest.mark.parametrize("raised", [GeneratorExit, LookupError, KeyboardInterrupt])
def test_which_of_several_blocks_ends_is_asked_for(
    server: otto.Server, raised: type[BaseException]
) -> None:
    lock = otto.lock("db", slots=3)
    blocks = [holding(lock), holding(lock), holding(lock)]
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as two:
        one.submit(next, blocks[0]).result(10)
        two.submit(next, blocks[1]).result(10)
        # What ends this process comes first.
        expected = raised if raised is KeyboardInterrupt else otto.UsageError
        with pytest.raises(expected, match=None if expected is raised else "2 blocks.*make one"):
            blocks[0].throw(raised())
        assert held() == 2
        # Who is in a block leaves that one.
        next(blocks[2])
        blocks[2].close()
        assert held() == 2
        two.submit(blocks[1].close).result(10)
        assert held() == 1


def test_which_of_several_tasks_blocks_ends_is_asked_for(server: otto.Server) -> None:
    lock = otto.lock("db", slots=2)

    async def main() -> None:
        blocks = [aholding(lock), aholding(lock)]
        for block in blocks:
            await asyncio.create_task(enter(block))
        with pytest.raises(otto.UsageError, match=r"task.*2 blocks"):
            await blocks[0].aclose()
        assert held() == 2

    asyncio.run(main())


def test_a_block_that_gave_back_before_takes_nothing_from_others(server: otto.Server) -> None:
    lock = otto.lock("db")
    released, entered, left = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        with lock:
            lock.release()
            released.set()
            entered.wait(10)
        left.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert released.wait(10)
    with lock:
        entered.set()
        assert left.wait(10)
        assert held() == 1
        lock.release()
        assert held() == 0
        with lock:
            assert held() == 1
        lock.acquire()
    assert held() == 0
    thread.join(10)


def test_two_open_blocks_of_one_thread_are_not_taken_for_one(server: otto.Server) -> None:
    lock = otto.lock("db", timeout=10)

    def generator() -> Generator[None]:
        with lock:
            lock.release()
            yield

    older = generator()
    next(older)
    raised: list[BaseException] = []

    def close() -> None:
        try:
            older.close()
        except otto.UsageError as error:
            raised.append(error)

    with lock:
        closer = threading.Thread(target=close)
        closer.start()
        closer.join(10)
        assert len(raised) == 1
        assert len(otto.locks()) == 1
    assert otto.locks() == []


def test_blocks_of_both_kinds_do_not_nest(server: otto.Server) -> None:
    lock = otto.lock("db")

    async def inner() -> None:
        for other in lock, otto.lock("db"):
            async with other:
                for again in lock, otto.lock("db"):
                    with pytest.raises(otto.UsageError, match=r"task holds lock db already.*nest"):
                        again.acquire()
                with otto.lock("other"):
                    pass
            with other:
                for again in lock, otto.lock("db"):
                    with pytest.raises(otto.UsageError, match="thread holds lock db already"):
                        await again.__aenter__()

    async def outer() -> None:
        with pytest.raises(otto.UsageError, match=r"thread holds lock db already.*nest"):
            async with otto.lock("db"):
                pass
        with pytest.raises(otto.UsageError, match="nest"):
            await asyncio.create_task(lock.__aenter__())
        async with otto.lock("other"):
            pass

    asyncio.run(inner())
    with lock:
        asyncio.run(outer())
    asyncio.run(inner())
    assert held() == 0


def test_a_thread_does_not_wait_for_its_own_tasks(server: otto.Server) -> None:
    async def other(entered: asyncio.Event, leave: asyncio.Event, slots: int) -> None:
        async with otto.lock("db", slots):
            entered.set()
            await leave.wait()

    async def main() -> None:
        for slots in 1, 2:
            entered, leave = asyncio.Event(), asyncio.Event()
            task = asyncio.create_task(other(entered, leave, slots))
            await entered.wait()
            if slots == 1:
                with pytest.raises(otto.UsageError, match=r"a task of this thread.*async with"):
                    otto.lock("db").acquire()
                acquired = asyncio.create_task(asyncio.to_thread(otto.lock("db").acquire))
            else:
                with otto.lock("db", slots):
                    assert held() == 2
            leave.set()
            await task
            if slots == 1:
                assert await acquired > 0
                del acquired
                gc.collect()

    asyncio.run(main())


def test_tasks_wait_for_what_their_thread_gives_back(server: otto.Server) -> None:
    """By another task, or by hand."""
    lock = otto.lock("db")

    async def work() -> int:
        async with otto.lock("db", timeout=10) as token:
            return token

    async def main() -> None:
        with lock as first:
            waiting = asyncio.create_task(work())
            await asyncio.sleep(0)
        assert await waiting > first

    async def release() -> None:
        waiting = asyncio.create_task(work())
        await asyncio.sleep(0)
        lock.release()
        assert await waiting > 0

    asyncio.run(main())
    lock.acquire()
    asyncio.run(release())
