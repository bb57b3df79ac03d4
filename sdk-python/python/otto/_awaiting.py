"""Waiting in coroutines, over native code that asks and is answered without waiting.

A task that waits registers a descriptor with its own loop and removes it when it goes on, so that
nothing is tied to a loop, and a cancelled task has taken nothing.
"""

from __future__ import annotations

from otto import _otto
from otto.errors import TimedOut

# typing itself takes longer to import than all of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How long a server that was lost is left alone between two looks, in seconds.
LOOK_EVERY = 0.05
# How long after its deadline a server that keeps the time is waited for.
GRACE = 1.0

_missing = object()


async def wait_async(key: str, timeout: float | None = None, *, default: Any = _missing) -> Any:
    """`otto.wait()` for coroutines: the value of `key` as soon as there is one.

    Holds up neither the event loop nor a thread, so that thousands of tasks may wait; each has a
    connection to the server meanwhile.

    >>> import asyncio, otto
    >>> async def both():
    ...     ready = asyncio.create_task(otto.wait_async("build.ready", timeout=30))
    ...     await asyncio.sleep(0)
    ...     otto.set("build.ready", True)
    ...     return await ready
    >>> with otto.serve():
    ...     asyncio.run(both())
    True
    """
    return await _wait(None, key, timeout, default)


async def barrier_async(name: str, count: int, timeout: float | None = None) -> int:
    """`otto.barrier()` for coroutines: a task that is cancelled has not come.

    >>> import asyncio, otto
    >>> async def three():
    ...     return await asyncio.gather(*[otto.barrier_async("ready", 3) for _ in range(3)])
    >>> with otto.serve():
    ...     sorted(asyncio.run(three()))
    [1, 2, 3]
    """
    return await _barrier(None, name, count, timeout)


async def _wait(server: Any, key: str, timeout: float | None, default: Any) -> Any:
    try:
        return await _reply(_otto.begin_wait(server, key, timeout), timeout)
    except TimedOut:
        if default is _missing:
            raise
        return default


async def _barrier(server: Any, name: str, count: int, timeout: float | None) -> Any:
    return await _reply(_otto.begin_barrier(server, name, count, timeout), timeout)


def client_wait(server: Any, key: str, timeout: float | None, *default: object) -> object:
    """`OttoClient.wait_async()`."""
    return _wait(server, key, timeout, default[0] if default else _missing)


def client_barrier(server: Any, name: str, count: int, timeout: float | None) -> object:
    """`OttoClient.barrier_async()`."""
    return _barrier(server, name, count, timeout)


async def _reply(pending: Any, timeout: float | None) -> Any:
    deadline = after(timeout, GRACE)
    try:
        while (reply := pending.reply()) is ...:
            if not await Wait(pending.fileno()).until(deadline):
                raise pending.late()
        return reply
    finally:
        pending.close()


async def acquire(lock: Any) -> object:
    """What `async with` does first: the lock's token, once this task has it."""
    task, deadline = _task(), after(lock._timeout, GRACE)
    descriptor = lock._ask(task)
    try:
        while (token := lock._answer(task)) is ...:
            if not await Wait(descriptor).until(deadline):
                raise TimedOut(f"timeout: {lock.name}")
        return token
    except BaseException:
        lock._give_up(task)
        raise


async def release(lock: Any, exception: tuple[object, ...]) -> None:
    """What `async with` does last, perhaps where no loop runs: a task may be destroyed."""
    try:
        task = _task()
    except RuntimeError:
        task = 0
    lock._leave(task, exception)


async def next_event(events: Any) -> object:
    """The next event of a subscription."""
    event = events._at_hand()
    if event is not ...:
        return event
    deadline = after(events._timeout)
    while True:
        descriptor = events._descriptor()
        wait = Wait(descriptor if descriptor >= 0 else None)
        try:
            events._await(wait)
        except BaseException:
            wait.close()
            raise
        try:
            ready = await wait.until(deadline)
        finally:
            events._awaited(wait)
        event = events._at_hand()
        if event is not ...:
            return event
        if not ready:
            raise events._late()


async def itself(thing: object) -> object:
    """What `async with` gives for what is there already."""
    return thing


async def close(thing: Any) -> None:
    """What `async with` does last with what is closed at once."""
    thing.close()


def _task() -> int:
    import asyncio

    return id(asyncio.current_task())


def after(timeout: float | None, grace: float = 0.0) -> float | None:
    """When the loop's clock is so much further, None for never."""
    try:
        return None if timeout is None else loop().time() + timeout + grace
    except OverflowError:
        # More than a float can hold is for ever.
        return None


def loop() -> Any:
    """The loop that runs this."""
    # Imported by those who use it: it takes ten times as long as all of this package.
    import asyncio

    return asyncio.get_running_loop()


class Wait:
    """One task's wait for a descriptor, with a copy of it that nobody else registers or closes.

    Without a descriptor it is a short sleep.
    """

    __slots__ = ("_descriptor", "_future", "_loop")

    def __init__(self, descriptor: int | None) -> None:
        import os

        self._loop = loop()
        self._future = self._loop.create_future()
        self._descriptor = None if descriptor is None else os.dup(descriptor)

    async def until(self, deadline: float | None, *, write: bool = False) -> bool:
        """Whether it was ready before the deadline, or the wait was ended."""
        loop, descriptor = self._loop, self._descriptor
        add, remove = loop.add_reader, loop.remove_reader
        if write:
            add, remove = loop.add_writer, loop.remove_writer
        timers = []
        try:
            if descriptor is None:
                timers.append(loop.call_later(LOOK_EVERY, self._end, True))
            else:
                add(descriptor, self._end, True)
            if deadline is not None:
                timers.append(loop.call_at(deadline, self._end, False))
            return await self._future
        finally:
            for timer in timers:
                timer.cancel()
            if descriptor is not None and not loop.is_closed():
                remove(descriptor)
            self.close()

    def close(self) -> None:
        """Closes the copy."""
        import os

        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def wake(self) -> None:
        """Ends the wait, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._end, True)
        except RuntimeError:
            if not self.is_over():
                raise

    def is_over(self) -> bool:
        """Whether nobody waits any more, the loop being closed."""
        return bool(self._loop.is_closed())

    def _end(self, ready: bool) -> None:
        if not self._future.done():
            self._future.set_result(ready)
