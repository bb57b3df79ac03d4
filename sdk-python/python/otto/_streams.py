"""Streams: what asyncio has to do with them, over native code that reads and writes.

A task that waits registers a descriptor with its own loop and removes it when it goes on, so that
nothing ties a stream to a loop, and a cancelled task has taken no record.
"""

from __future__ import annotations

from otto import _otto
from otto._awaiting import Wait as _Wait
from otto._awaiting import after as _after

# InputPipe[str], as the stubs have it.
_GenericAlias = type(list[int])


def input_pipe(
    name: str | None = None, *, mode: str = "json", timeout: float | None = None
) -> InputPipe:
    """Iterates over the stream this task reads: `OTTO_INPUT_PIPE`, or the stream `name`.

    `mode` says what a record is: "json" a line that is any JSON value, "text" a line as str,
    "bytes" a line as bytes; "raw" is no lines but bytes as they come, NUL and all. A line is what
    stands before a line feed, which is left off; a carriage return before that belongs to the line.
    A last line may lack its line feed. Ends when the last writer has closed, and raises
    `ProducerEnded` instead, once all whole records were given, when the producer failed. A stream
    with a name is the run's, outside all runs this user's, as for `otto-pipe`; it is made where it
    is missing.

    Waits for each record up to `timeout` seconds and then raises `TimedOut`; asked again, it goes
    on where it was. In a coroutine `async for` does the same without holding up the event loop.

    >>> import otto
    >>> with otto.serve():
    ...     otto.input_pipe("rows", timeout=0.01).read()
    Traceback (most recent call last):
    otto.errors.TimedOut: timeout: ...

    >>> import asyncio
    >>> async def produce():
    ...     async with await asyncio.to_thread(otto.output_pipe, "rows") as out:
    ...         for number in range(3):
    ...             await out.awrite({"i": number})
    >>> async def consume():
    ...     async with otto.input_pipe("rows") as rows:
    ...         return [row["i"] async for row in rows]
    >>> async def both():
    ...     return (await asyncio.gather(consume(), produce()))[0]
    >>> with otto.serve():
    ...     asyncio.run(both())
    [0, 1, 2]
    """
    return InputPipe(name, mode=mode, timeout=timeout)


def output_pipe(
    name: str | None = None, *, mode: str = "json", timeout: float | None = None
) -> OutputPipe:
    """Opens the stream this task writes: `OTTO_OUTPUT_PIPE`, or the stream `name`.

    `mode` says what `write()` takes: "json" any JSON value, "text" a str and "bytes" a bytes-like
    object, each one line; "raw" a bytes-like object that is written as it is. Waits for a reader up
    to `timeout` seconds; a task's own stream under otto-run needs no waiting for.

    >>> import otto, threading
    >>> with otto.serve():
    ...     reader = threading.Thread(target=lambda: print(list(otto.input_pipe("rows"))))
    ...     reader.start()
    ...     with otto.output_pipe("rows") as out:
    ...         out.write({"i": 1})
    ...         out.writelines({"i": i} for i in range(2, 4))
    ...     reader.join()
    [{'i': 1}, {'i': 2}, {'i': 3}]
    """
    return OutputPipe(name, mode=mode, timeout=timeout)


class InputPipe(_otto.RecordReader):
    """The reading side of a stream: iterates over its records, in threads and in coroutines.

    Any number of threads may share the records of one; of an event loop's tasks one at a time may
    wait. Both ways may take turns.
    """

    __slots__ = ()
    __class_getitem__ = classmethod(_GenericAlias)

    def __aiter__(self) -> InputPipe:
        return self

    async def __anext__(self) -> object:
        record = self._at_hand()
        if record is not ...:
            return record
        deadline = _after(self._timeout)
        while True:
            if not await self._readable(deadline):
                raise self._late()
            record = self._arrived()
            if record is not ...:
                return record

    async def aread(self) -> object:
        """The next record; None at the end of the stream.

        A task that is cancelled while it waits has taken no record.
        """
        try:
            return await self.__anext__()
        except StopAsyncIteration:
            return None

    async def __aenter__(self) -> InputPipe:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self.close()

    async def _readable(self, deadline: float | None) -> bool:
        descriptor = self._descriptor()
        if descriptor < 0:
            return True
        wait = _Wait(descriptor)
        try:
            self._await(wait)
        except BaseException:
            wait.close()
            raise
        try:
            return await wait.until(deadline)
        finally:
            self._awaited(wait)


class OutputPipe(_otto.RecordWriter):
    """The writing side of a stream: one record a line.

    A record is seen by the reader within 100 ms; `flush()` sends it at once. Used in a `with` block
    it is closed at its end, also when the block fails. In coroutines `awrite()`, `aflush()`,
    `aclose()` and `async with` wait for a slow reader without holding up the event loop.
    """

    __slots__ = ()
    __class_getitem__ = classmethod(_GenericAlias)

    async def awrite(self, record: object) -> None:
        """Adds one record, once less than 64 KiB wait for the reader.

        A task that is cancelled while it waits has added nothing.
        """
        while not self._offer(record):
            await self._room()

    async def awritelines(self, records: object) -> None:
        """Adds the records of an iterable or an asynchronous one, as `awrite()` would."""
        if hasattr(records, "__aiter__"):
            async for record in records:
                await self.awrite(record)
            return
        for record in records:
            await self.awrite(record)

    async def aflush(self) -> None:
        """Sends every record added so far and waits until the pipe has taken them."""
        while not self._push():
            await self._room()

    async def aclose(self) -> None:
        """Flushes and closes; a second time does nothing.

        After a wait for the reader that was cancelled it sends only what the pipe takes at once.
        """
        if self._descriptor() >= 0 and not self._given_up:
            try:
                await self.aflush()
            except BaseException:
                super().__exit__()
                raise
        super().__exit__()

    async def __aenter__(self) -> OutputPipe:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.aclose()

    async def _room(self) -> None:
        """Waits until the pipe takes more, and sends that."""
        try:
            await _Wait(self._descriptor()).until(None, write=True)
        except BaseException:
            self._give_up(True)
            raise
        self._give_up(False)
        self._push()
