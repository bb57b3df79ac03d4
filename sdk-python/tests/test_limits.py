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
