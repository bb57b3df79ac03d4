"""Events: from anywhere in the run's past, over lost connections, in threads and in tasks."""

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import otto
import pytest
from conftest import eventually


def keys(events: otto.Subscription, count: int) -> list[str]:
    return [next(events).key for _ in range(count)]


def test_from_the_start_from_a_number_and_from_now(server: otto.Server) -> None:
    for number in range(5):
        otto.set(f"k{number}", number)
    events = otto.subscribe(from_="start", timeout=10)
    found = [next(events) for _ in range(5)]
    assert [event.key for event in found] == ["k0", "k1", "k2", "k3", "k4"]
    assert [event.seq for event in found] == sorted(event.seq for event in found)
    assert keys(otto.subscribe(from_=found[3].seq, timeout=10), 2) == ["k3", "k4"]
    assert keys(otto.subscribe("?3", from_="start", timeout=10), 1) == ["k3"]
    now = otto.subscribe(from_="now", timeout=10)
    later = otto.subscribe(from_=found[-1].seq + 2, timeout=10)
    otto.set("k5", 5)
    otto.set("k6", 6)
    assert keys(now, 2) == ["k5", "k6"]
    assert keys(later, 1) == ["k6"]
    assert keys(events, 2) == ["k5", "k6"]


@pytest.mark.parametrize("given", ["yesterday", -1, 1.5, None, 1 << 64])
def test_a_start_that_is_none_is_refused(server: otto.Server, given) -> None:
    with pytest.raises(otto.UsageError, match="from_"):
        otto.subscribe(from_=given)


def test_events_of_every_kind(server: otto.Server) -> None:
    events = otto.subscribe(timeout=10)
    otto.set("a", 1)
    otto.append("list", "x")
    otto.publish("news", [1])
    otto.set("b", 1, ttl=0.01)
    otto.delete("a")
    otto.cancel()
    found = {event.event: event for event in (next(events) for _ in range(7))}
    assert set(found) == {"set", "append", "publish", "delete", "cancel"}
    assert found["append"].value == ["x"]
    assert found["cancel"].key == "*"
    assert found["set"].missing is None
    assert {event.expired for event in found.values()} <= {True, False}


def test_what_is_not_there_any_more_is_told(server: otto.Server) -> None:
    """The history holds 8 MiB."""
    first = otto.subscribe(timeout=10)
    otto.set("k", "first")
    seq = next(first).seq
    first.close()
    for number in range(20):
        otto.set("k", str(number) * (1 << 20))
    otto.set("last", 1)
    events = otto.subscribe(from_=seq, timeout=10)
    gap = next(events)
    assert gap.event == "gap"
    assert (gap.key, gap.value) == ("", None)
    assert gap.missing is not None
    assert gap.missing.start == seq
    assert gap.seq == gap.missing.stop
    assert "missing=range(" in repr(gap)
    after = next(events)
    assert after.seq == gap.seq
    numbers = [after.seq]
    for event in events:
        numbers.append(event.seq)
        if event.key == "last":
            break
    assert numbers == list(range(gap.seq, gap.seq + len(numbers)))


class Proxy:
    """A server's stand-in, whose connections can be cut while the server goes on."""

    def __init__(self, behind: str, path: str, delay: float = 0) -> None:
        code = """if True:
            import os, select, socket, sys, time
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(sys.argv[2])
            listener.listen()
            pairs = {}
            print(flush=True)
            def cut():
                for one in pairs: one.close()
                pairs.clear()
            while True:
                readable, _, _ = select.select([0, listener, *pairs], [], [])
                for one in readable:
                    if one == 0:
                        if not os.read(0, 1): sys.exit()
                        cut()
                        print(flush=True)
                        break
                    if one is listener:
                        client, _ = listener.accept()
                        server = socket.socket(socket.AF_UNIX)
                        server.connect(sys.argv[1])
                        pairs[client], pairs[server] = server, client
                    elif one in pairs:
                        other = pairs[one]
                        try:
                            data = one.recv(1 << 16)
                            time.sleep(float(sys.argv[3]))
                            other.sendall(data)
                        except OSError: data = b""
                        if not data:
                            for end in one, other: pairs.pop(end).close()
            """
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, behind, path, str(delay)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout
        self.process.stdout.readline()

    def cut(self) -> None:
        """Cuts every connection there is."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b".")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture
def proxy(server: otto.Server, tmp_path) -> Iterator[Proxy]:
    proxy = Proxy(server.socket or "", str(tmp_path / "proxy"))
    yield proxy
    proxy.close()


def test_it_goes_on_after_a_lost_connection(server: otto.Server, proxy: Proxy, tmp_path) -> None:
    """None is missing, none comes twice, whenever the connection is lost."""
    events = otto.OttoClient(tmp_path / "proxy").subscribe("k*", timeout=10)

    def write() -> None:
        for number in range(2000):
            otto.set(f"k{number}", number)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for number in range(2000):
        if number % 150 == 20:
            proxy.cut()
        assert next(events).value == number
    writer.join(10)


def test_tasks_go_on_after_a_lost_connection(server: otto.Server, proxy: Proxy, tmp_path) -> None:
    async def main() -> list[int]:
        async with otto.OttoClient(tmp_path / "proxy").subscribe("k*", timeout=10) as events:
            found = []
            for number in range(300):
                otto.set(f"k{number}", number)
                if number % 60 == 10:
                    proxy.cut()
            async for event in events:
                found.append(event.value)
                if len(found) % 60 == 30:
                    proxy.cut()
                if len(found) == 300:
                    break
            return found

    assert asyncio.run(main()) == list(range(300))


def test_tasks_go_on_however_long_subscribing_takes(server: otto.Server, tmp_path) -> None:
    """Longer than the event loop can be held up for."""
    proxy = Proxy(server.socket or "", str(tmp_path / "proxy"), delay=0.01)

    async def main() -> list[int]:
        async with otto.OttoClient(tmp_path / "proxy").subscribe("k", timeout=10) as events:
            found = []
            for number in range(3):
                proxy.cut()
                otto.set("k", number)
                found.append((await anext(events)).value)
            return found

    assert asyncio.run(main()) == [0, 1, 2]
    proxy.close()


def test_another_server_in_its_place(tmp_path) -> None:
    path = str(tmp_path / "s")

    def serve() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [os.environ["OTTO_PREFIX"] + "/bin/otto-serve", "--socket", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    client = otto.OttoClient(path)

    def answers() -> bool:
        with contextlib.suppress(otto.OttoError):
            client.get("x")
            return True
        return False

    first = serve()
    eventually(answers)
    client.set("a", 1)
    events = client.subscribe(from_="start", timeout=10)
    assert next(events).key == "a"
    first.terminate()
    first.wait()
    second = serve()
    eventually(answers)
    client.set("b", 2)
    gap = next(events)
    assert (gap.event, gap.missing) == ("gap", range(2, sys.maxsize))
    assert next(events).key == "b"
    second.terminate()
    second.wait()


def test_a_task_waits_for_events(server: otto.Server) -> None:
    async def main() -> list[tuple[str, object]]:
        found = []
        async with otto.subscribe("k*", timeout=10) as events:

            async def write() -> None:
                for number in range(50):
                    await asyncio.sleep(0)
                    otto.set(f"k{number}", number)

            writer = asyncio.create_task(write())
            async for event in events:
                found.append((event.key, event.value))
                if len(found) == 50:
                    break
            await writer
        return found

    assert asyncio.run(main()) == [(f"k{number}", number) for number in range(50)]


def test_a_task_that_is_cancelled_has_lost_no_event(server: otto.Server) -> None:
    async def main() -> list[int]:
        events = otto.subscribe("k", timeout=10)
        found: list[int] = []
        for number in range(200):
            waiter = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0)
            if number % 2:
                otto.set("k", number)
            waiter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                found.append((await waiter).value)
        while len(found) < 100:
            found.append((await events.__anext__()).value)
        events.close()
        return found

    assert asyncio.run(main()) == list(range(1, 200, 2))


def test_a_tasks_timeout_and_its_end(server: otto.Server) -> None:
    async def main() -> None:
        events = otto.subscribe(timeout=0.02)
        with pytest.raises(TimeoutError):
            await events.__anext__()
        otto.set("a", 1)
        assert (await events.__anext__()).key == "a"
        listening = otto.subscribe()

        async def listen() -> list[otto.Event]:
            return [event async for event in listening]

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0.01)
        await asyncio.to_thread(listening.close)
        assert await asyncio.wait_for(listener, 10) == []
        with pytest.raises(StopAsyncIteration):
            await listening.__anext__()

    asyncio.run(main())


def test_one_task_at_a_time_may_wait(server: otto.Server) -> None:
    async def main() -> None:
        events = otto.subscribe()
        first = asyncio.ensure_future(events.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(otto.UsageError, match="another task"):
            await events.__anext__()
        otto.set("a", 1)
        assert (await asyncio.wait_for(first, 10)).key == "a"

    asyncio.run(main())


def test_a_thread_that_waits_keeps_tasks_away(server: otto.Server) -> None:
    events = otto.subscribe()
    reader = threading.Thread(target=lambda: list(events), daemon=True)
    reader.start()

    async def main() -> None:
        while True:
            try:
                await asyncio.wait_for(events.__anext__(), 0.001)
            except TimeoutError:
                continue
            except otto.UsageError as error:
                assert "another thread" in str(error)
                return

    asyncio.run(main())
    events.close()
    reader.join(10)


def test_threads_share_the_events(server: otto.Server) -> None:
    events = otto.subscribe("k", timeout=10)
    found: list[int] = []

    def work() -> None:
        for event in events:
            found.append(event.value)
            if len(found) == 400:
                events.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(400):
        otto.set("k", number)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(found) == list(range(400))


def test_waiting_for_keys_in_tasks(server: otto.Server) -> None:
    async def main() -> None:
        waits = [asyncio.create_task(otto.wait_async(f"k{n}", timeout=20)) for n in range(200)]
        await asyncio.sleep(0.01)
        with otto.batch() as batch:
            for number in range(200):
                batch.set(f"k{number}", number)
        assert await asyncio.gather(*waits) == list(range(200))
        with pytest.raises(TimeoutError, match="never"):
            await otto.wait_async("never", timeout=0.02)
        assert await otto.wait_async("never", 0.01, default=None) is None
        assert await otto.OttoClient().wait_async("k1", 1) == 1
        assert await otto.OttoClient().wait_async("never", 0.01, default=2) == 2
        with pytest.raises(otto.UsageError):
            await otto.wait_async("a b")

    asyncio.run(main())


def test_barriers_in_tasks(server: otto.Server) -> None:
    async def main() -> None:
        left = asyncio.create_task(otto.barrier_async("b", 3))
        await asyncio.sleep(0.01)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        client = otto.OttoClient()
        calls = [otto.barrier_async("b", 3, 10), client.barrier_async("b", 3)]
        calls.append(asyncio.to_thread(otto.barrier, "b", 3))
        assert sorted(await asyncio.gather(*calls)) == [1, 2, 3]
        with pytest.raises(TimeoutError):
            await otto.barrier_async("b", 2, 0.02)

    asyncio.run(main())


def abandoned(coroutine: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
    """A task that waits for ever, its loop being closed."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    task = loop.create_task(coroutine)
    # Once through the loop it waits.
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    return task


@pytest.mark.parametrize("way", ["close", "task", "destroyed"])
def test_a_task_whose_loop_was_closed_keeps_nobody_away(server: otto.Server, way: str) -> None:
    events = otto.subscribe("k", timeout=10)

    async def read() -> object:
        return (await anext(events)).value

    async def main(left: list[asyncio.Task[object]]) -> None:
        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        # The wait that has gone must not end the other's.
        left.clear()
        gc.collect()
        with pytest.raises(otto.UsageError, match="another task"):
            await anext(events)
        otto.set("k", way)
        assert await reading == way

    task = abandoned(read())
    if way != "close":
        left = [task]
        if way == "destroyed":
            del task
        asyncio.run(main(left))
    events.close()
    assert list(events) == []


def test_a_stream_whose_reader_s_loop_was_closed(server: otto.Server) -> None:
    records = otto.input_pipe("s", timeout=10)
    task = abandoned(records.aread())

    def write() -> None:
        with otto.output_pipe("s") as out:
            out.write(1)

    writer = threading.Thread(target=write)
    writer.start()
    assert asyncio.run(records.aread()) == 1
    writer.join(10)
    records.close()
    del task
