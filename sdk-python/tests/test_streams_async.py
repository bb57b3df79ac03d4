"""Streams in coroutines: nothing is lost, nothing holds up the loop."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import otto
import pytest
from conftest import eventually


@contextmanager
def opened(server: otto.Server, mode: Any = "json") -> Iterator[tuple[otto.InputPipe[Any], int]]:
    """A stream to read, and the descriptor that writes it."""
    rows: otto.InputPipe[Any] = otto.input_pipe("rows", mode=mode)
    fifo = os.open(os.path.join(server.run_dir or "", "rows.fifo"), os.O_RDWR)
    try:
        yield rows, fifo
    finally:
        rows.close()
        os.close(fifo)


def test_both_ends_in_one_loop(server: otto.Server) -> None:
    async def produce() -> None:
        async with await asyncio.to_thread(otto.output_pipe, "rows") as out:
            for number in range(20_000):
                await out.awrite({"i": number, "filler": "x" * (number % 200)})

    async def consume() -> list[int]:
        async with otto.input_pipe("rows") as rows:
            return [row["i"] async for row in rows]

    async def both() -> list[Any]:
        return await asyncio.gather(consume(), produce())

    assert asyncio.run(both())[0] == list(range(20_000))


def test_a_cancelled_wait_takes_no_record(server: otto.Server) -> None:
    """Cancelled all the time while records trickle in, in pieces that end anywhere."""
    count = 2000
    text = b"".join(b'{"i":%d}\n' % number for number in range(count))

    rows = otto.input_pipe("rows")

    def produce() -> None:
        with open(os.path.join(server.run_dir or "", "rows.fifo"), "wb", buffering=0) as fifo:
            for start in range(0, len(text), 37):
                fifo.write(text[start : start + 37])

    async def consume() -> tuple[list[int], int]:
        seen, cancelled = [], 0
        while True:
            try:
                async with asyncio.timeout(0.0002):
                    async for row in rows:
                        seen.append(row["i"])
                        await asyncio.sleep(0)
                    return seen, cancelled
            except TimeoutError:
                cancelled += 1

    producer = threading.Thread(target=produce)
    producer.start()
    seen, cancelled = asyncio.run(consume())
    producer.join()
    assert seen == list(range(count))
    assert cancelled


def test_the_loop_runs_while_a_task_waits(server: otto.Server) -> None:
    async def main() -> int:
        with opened(server) as (rows, fifo):
            reading = asyncio.create_task(rows.aread())
            await asyncio.sleep(0)
            # As often as it likes, since nobody blocks it.
            for _ in range(1000):
                await asyncio.sleep(0)
            assert not reading.done()
            threads = threading.active_count()
            os.write(fifo, b"1\n2\n")
            assert await reading == 1
            assert await rows.aread() == 2
            return threads

    assert asyncio.run(main()) == threading.active_count() == 1, "no thread reads"


def test_a_fast_producer_does_not_starve_the_loop(server: otto.Server) -> None:
    stop = threading.Event()
    rows = otto.input_pipe("rows")

    def produce() -> None:
        with open(os.path.join(server.run_dir or "", "rows.fifo"), "wb") as fifo:
            while not stop.is_set():
                fifo.write(b"1\n" * 10_000)

    async def main() -> None:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while turns < 20:
                turns += 1
                await asyncio.sleep(0)
            stop.set()

        other = asyncio.create_task(others())
        async for row in rows:
            assert row == 1
        await other

    producer = threading.Thread(target=produce)
    producer.start()
    asyncio.run(main())
    producer.join()


def test_one_task_waits_at_a_time(server: otto.Server) -> None:
    async def main() -> None:
        with opened(server) as (rows, fifo):
            first = asyncio.create_task(rows.aread())
            await asyncio.sleep(0)
            with pytest.raises(otto.UsageError, match="another task waits"):
                await rows.aread()
            os.write(fifo, b"1\n")
            assert await first == 1
            os.write(fifo, b"2\n")
            assert await rows.aread() == 2, "the refusal left nothing behind"

    asyncio.run(main())


def test_a_thread_that_reads_is_no_business_of_a_loop(server: otto.Server) -> None:
    with opened(server) as (rows, fifo):
        seen: list[Any] = []
        reader = threading.Thread(target=lambda: seen.append(rows.read()))
        reader.start()

        async def refused() -> bool:
            try:
                async with asyncio.timeout(0.01):
                    await rows.aread()
            except otto.UsageError as error:
                return "another thread" in str(error)
            except TimeoutError:
                return False
            return False

        eventually(lambda: asyncio.run(refused()))
        os.write(fifo, b"1\n")
        reader.join(10)
        assert seen == [1]


def test_several_loops_and_threads_in_turn(server: otto.Server) -> None:
    with opened(server) as (rows, fifo):
        for number in range(5):

            async def read() -> Any:
                reading = asyncio.create_task(rows.aread())
                await asyncio.sleep(0)
                os.write(fifo, b"1\n")
                return await reading

            assert asyncio.run(read()) == 1
            os.write(fifo, b"%d\n" % number)
            assert rows.read() == number

        async def abandoned() -> None:
            # A loop that ends while its task waits.
            reading = asyncio.create_task(rows.aread())
            await asyncio.sleep(0)
            del reading

        asyncio.run(abandoned())
        os.write(fifo, b"7\n")
        assert rows.read() == 7


def test_a_loop_that_was_closed_under_a_wait(server: otto.Server) -> None:
    with opened(server) as (rows, fifo):
        loop = asyncio.new_event_loop()
        waiting = rows.aread()

        async def begin() -> Any:
            waiting.send(None)

        loop.run_until_complete(begin())
        loop.close()
        waiting.close()
        os.write(fifo, b"1\n")
        assert asyncio.run(rows.aread()) == 1


def test_a_timeout_is_no_end(server: otto.Server) -> None:
    rows = otto.input_pipe("rows", timeout=0.02)
    fifo = os.open(os.path.join(server.run_dir or "", "rows.fifo"), os.O_RDWR)

    async def main() -> None:
        with pytest.raises(otto.TimedOut):
            await rows.aread()
        os.write(fifo, b'"ha')
        with pytest.raises(otto.TimedOut):
            await rows.aread()
        os.write(fifo, b'lf"\n')
        assert await rows.aread() == "half"

    asyncio.run(main())
    os.close(fifo)


def test_a_stream_nobody_writes_is_waited_for_and_then_ends(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    fifo = os.path.join(server.run_dir or "", "rows.fifo")

    async def main() -> None:
        reading = asyncio.create_task(rows.aread())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not reading.done(), "no writer yet is no end"
        os.close(os.open(fifo, os.O_WRONLY))
        assert await reading is None
        assert await rows.aread() is None
        assert [row async for row in rows] == []

    asyncio.run(main())


@pytest.mark.parametrize("where", ["same loop", "another thread"])
def test_closing_ends_a_wait(server: otto.Server, where: str) -> None:
    async def main() -> Any:
        with opened(server) as (rows, _):
            reading = asyncio.create_task(rows.aread())
            await asyncio.sleep(0)
            if where == "same loop":
                rows.close()
            else:
                await asyncio.to_thread(rows.close)
            return await asyncio.wait_for(reading, 10)

    assert asyncio.run(main()) is None


def test_raw_pieces(server: otto.Server) -> None:
    data = os.urandom(3_000_000)

    async def produce() -> None:
        async with await asyncio.to_thread(otto.output_pipe, "rows", mode="raw") as out:
            await out.awritelines([data[:10], memoryview(data)[10:2_000_000], data[2_000_000:]])

    async def consume() -> bytes:
        return b"".join([piece async for piece in otto.input_pipe("rows", mode="raw")])

    async def both() -> Any:
        return (await asyncio.gather(consume(), produce()))[0]

    assert asyncio.run(both()) == data


def test_a_full_pipe_holds_up_its_writer_alone(server: otto.Server) -> None:
    async def numbers() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number:04000}"

    async def main() -> None:
        rows = otto.input_pipe("rows", mode="text")
        opening = asyncio.create_task(asyncio.to_thread(otto.output_pipe, "rows", mode="text"))
        first = asyncio.create_task(rows.aread())
        out = await opening
        writing = asyncio.create_task(out.awritelines(numbers()))
        assert int(await first or "") == 0
        # The pipe fills up, and the loop goes on all the time.
        for _ in range(1000):
            await asyncio.sleep(0)
        assert not writing.done()
        closing = asyncio.create_task(end(out, writing))
        assert [int(row) async for row in rows] == list(range(1, 1000))
        await closing

    async def end(out: otto.OutputPipe[str], writing: asyncio.Task[None]) -> None:
        await writing
        await out.aclose()

    asyncio.run(main())


def test_a_cancelled_write_has_added_nothing(server: otto.Server) -> None:
    async def main() -> None:
        rows = otto.input_pipe("rows")
        first = asyncio.create_task(rows.aread())
        out = await asyncio.to_thread(otto.output_pipe, "rows")
        written = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                while True:
                    await out.awrite([written, "x" * 1000])
                    written += 1
        assert (await first)[0] == 0

        async def collect() -> list[Any]:
            return [row async for row in rows]

        collecting = asyncio.create_task(collect())
        await out.awrite("after")
        await out.aclose()
        rest = await collecting
        assert rest.pop() == "after"
        assert [row[0] for row in rest] == list(range(1, written))

    asyncio.run(main())


def test_an_end_after_a_cancelled_write_does_not_wait(server: otto.Server) -> None:
    async def main() -> None:
        with opened(server) as (rows, _):
            out = await asyncio.to_thread(otto.output_pipe, "rows")
            async with asyncio.timeout(20):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1), out:
                        while True:
                            await out.awrite("x" * 10_000)
            with pytest.raises(otto.UsageError, match="closed"):
                await out.awrite(1)
            assert rows.read() == "x" * 10_000

    asyncio.run(main())


def test_several_tasks_write_whole_records(server: otto.Server) -> None:
    async def main() -> list[Any]:
        async def consume() -> list[Any]:
            return [row async for row in otto.input_pipe("rows")]

        consumer = asyncio.create_task(consume())
        out = await asyncio.to_thread(otto.output_pipe, "rows")

        async def produce(number: int) -> None:
            for step in range(300):
                await out.awrite([number, step, "x" * (step * 7 % 3000)])
                await asyncio.sleep(0)

        async with out:
            await asyncio.gather(*map(produce, range(5)))
        return await consumer

    last = [-1] * 5
    for number, step, filler in asyncio.run(main()):
        assert step == last[number] + 1
        assert len(filler) == step * 7 % 3000
        last[number] = step
    assert last == [299] * 5


def test_nobody_reads_any_more(server: otto.Server) -> None:
    async def main() -> None:
        rows = otto.input_pipe("rows")
        reading = asyncio.create_task(rows.aread())
        out = await asyncio.to_thread(otto.output_pipe, "rows")
        await out.awrite(1)
        await out.aflush()
        assert await reading == 1
        rows.close()
        with pytest.raises(otto.StreamClosed):
            while True:
                await out.awrite("x" * 1000)
        with pytest.raises(otto.StreamClosed):
            await out.aclose()
        await out.aclose()

    asyncio.run(main())


def test_descriptors_are_given_back(server: otto.Server) -> None:
    def count() -> int:
        gc.collect()
        return len(os.listdir("/proc/self/fd"))

    async def main() -> None:
        with opened(server) as (rows, fifo):
            for _ in range(100):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0):
                        await rows.aread()
            os.write(fifo, b"1\n")
            assert await rows.aread() == 1

    asyncio.run(main())
    before = count()
    asyncio.run(main())
    assert count() == before
