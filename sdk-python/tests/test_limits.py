"""What is above a limit, or out of a range: `UsageError`, and the next call works."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import otto
import pytest


def test_what_no_request_holds_leaves_the_connections_as_they_are(server: otto.Server) -> None:
    otto.set("a", 1)
    with pytest.raises(otto.UsageError, match="at most 134217728"):
        otto.set("b", "x" * (129 << 20))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(otto.get("a"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [1] * 4


def test_values_above_the_limit_are_usage_errors(server: otto.Server) -> None:
    """By whatever call, as over the other transports."""
    large = "x" * (17 << 20)
    for call in otto.set, otto.publish, otto.append:
        with pytest.raises(otto.UsageError, match=r"value of \d+ bytes: at most \d+"):
            call("a", large)
    with pytest.raises(otto.UsageError, match=r"value of \d+ bytes"), otto.batch() as batch:
        batch.set("a", large)
    with pytest.raises(otto.UsageError, match=r"at most 16384 operations"), otto.batch() as batch:
        for _ in range(16_385):
            batch.incr("n")
    deep: list[Any] = []
    for _ in range(127):
        deep = [deep]
    with pytest.raises(otto.UsageError, match="nested deeper"):
        otto.append("a", deep)
    otto.set("a", "text")
    with pytest.raises(otto.OttoError) as failed:
        otto.append("a", 1)
    assert not isinstance(failed.value, ValueError)
    assert otto.list_keys() == ["a"]


SURROGATE = "\ud800"

OUT_OF_RANGE: dict[str, Callable[[], object]] = {
    "by": lambda: otto.incr("n", 2**63),
    "by_client": lambda: otto.OttoClient().incr("n", -(2**63) - 1),
    "by_batch": lambda: otto.batch().incr("n", 2**63),
    "ttl": lambda: otto.set("a", 1, ttl=10**400),
    "ttl_negative": lambda: otto.set("a", 1, ttl=-(10**400)),
    "revision": lambda: otto.set("a", 1, if_revision=-1),
    "revision_client": lambda: otto.OttoClient().set("a", 1, if_revision=2**64),
    "slots": lambda: otto.lock("db", slots=2**70),
    "slots_negative": lambda: otto.lock("db", slots=-(2**70)),
    "count": lambda: otto.barrier("b", 2**70),
    "count_async": lambda: asyncio.run(otto.barrier_async("b", 0)),
    "size": lambda: otto.TaskDataRegion.create("t", -1),
    "integer": lambda: otto.set("a", 10**5000),
    "integer_within": lambda: otto.set("a", {"b": [10**5000]}),
    "get": lambda: otto.get(SURROGATE),
    "get_many": lambda: otto.get_many(["a", SURROGATE]),
    "get_via": lambda: otto.get(SURROGATE, via="mmap"),
    "set": lambda: otto.set(SURROGATE, 1),
    "set_client": lambda: otto.OttoClient(task_name=SURROGATE),
    "wait": lambda: otto.wait(SURROGATE, 0),
    "wait_async": lambda: asyncio.run(otto.wait_async(SURROGATE)),
    "list_keys": lambda: otto.list_keys(SURROGATE),
    "delete": lambda: otto.delete(SURROGATE),
    "append": lambda: otto.append(SURROGATE, 1),
    "publish": lambda: otto.publish(SURROGATE, 1),
    "subscribe": lambda: otto.subscribe(SURROGATE),
    "batch": lambda: otto.batch().delete(SURROGATE),
    "lock": lambda: otto.lock(SURROGATE),
    "locks": lambda: otto.locks(SURROGATE),
    "cancel": lambda: otto.cancel(SURROGATE),
    "stream": lambda: otto.input_pipe(SURROGATE),
    "document": lambda: otto.TaskDataRegion.create(SURROGATE),
    "dataset": lambda: otto.put_dataset(SURROGATE, b""),
    "update": lambda: otto.TaskDataRegion.create("t").update({SURROGATE: 1}),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_what_is_out_of_range_is_a_usage_error(server: otto.Server, name: str) -> None:
    with pytest.raises(otto.UsageError) as refused:
        OUT_OF_RANGE[name]()
    assert len(str(refused.value).splitlines()) == 1


def test_a_timeout_that_no_float_holds_is_for_ever(server: otto.Server) -> None:
    otto.set("a", 1)
    for timeout in 10**400, float("inf"):
        assert otto.wait("a", timeout) == 1
        assert asyncio.run(otto.wait_async("a", timeout)) == 1
        with otto.lock("db", timeout=timeout):
            pass
    with pytest.raises(otto.TimedOut):
        otto.wait("b", -(10**400))


def test_a_path_that_is_no_unicode() -> None:
    path = "/tmp/\udcff.sock"
    client = otto.OttoClient(path)
    assert client.socket_path == path
    with pytest.raises(otto.Unreachable):
        client.get("a")
