"""What is above a limit, or out of a range: `UsageError`, and the next call works."""

import threading
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
