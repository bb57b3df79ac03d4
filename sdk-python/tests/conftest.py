import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import otto
import pytest


@pytest.fixture(autouse=True)
def outside_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests make their own run, whatever they are run in."""
    for name in list(os.environ):
        if name.startswith("OTTO_") and name not in ("OTTO_PREFIX", "OTTO_SOAK"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def sigterm_ends_the_tests() -> None:
    """Examples of `cancelled()` leave it alone, as they do every handler that is there."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM"))


@pytest.fixture
def server() -> Iterator[otto.Server]:
    with otto.serve() as server:
        yield server


@pytest.fixture(params=["socket", "files", "mmap"])
def via(request: pytest.FixtureRequest, server: otto.Server, tmp_path, monkeypatch) -> str:
    """Each transport in turn, as a task's environment chooses it."""
    monkeypatch.setenv("OTTO_TASK_DIR", str(tmp_path))
    monkeypatch.setenv("OTTO_VIA", request.param)
    return request.param


class ServerProcess:
    """A server in a process of its own, whose run this process takes part in."""

    def __init__(self) -> None:
        code = """if True:
            import json, os, sys, otto
            with otto.serve():
                names = [name for name in os.environ if name.startswith("OTTO_")]
                print(json.dumps({name: os.environ[name] for name in names}), flush=True)
                sys.stdin.read()
        """
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.environment: dict[str, str] = json.loads(self.process.stdout.readline())

    def stop_answering(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        eventually(lambda: state(self.process.pid) == "T")

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.go_on()
        self.process.communicate()


@pytest.fixture
def server_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    process = ServerProcess()
    for name, value in process.environment.items():
        monkeypatch.setenv(name, value)
    yield process
    process.close()


def state(pid: int, thread: int | None = None) -> str:
    """R, S, T... as /proc says."""
    path = f"/proc/{pid}/task/{thread or pid}/stat"
    with open(path) as stat:
        return stat.read().rpartition(")")[2].split()[0]


def eventually(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)
    return found


def python(code: str, **environment: str) -> str:
    """The output of a Python process that runs `code` in this environment."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def mapped(name: str) -> list[range]:
    """Where the files of dataset `name` are mapped in this process."""
    found = []
    with open("/proc/self/maps") as maps:
        for line in maps:
            addresses, _, rest = line.partition(" ")
            if f".ds-{name}" in rest:
                start, end = (int(address, 16) for address in addresses.split("-"))
                found.append(range(start, end))
    return found


def lies_in(address: int, name: str) -> bool:
    """Whether `address` is one of the memory of dataset `name`: nothing was copied."""
    return any(address in mapping for mapping in mapped(name))
