"""Where a measurement happens: a folder of its own, and servers that end with it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

READY_SECONDS = 20


@dataclass
class Server:
    """A server process that this run started."""

    process: subprocess.Popen
    socket: Path
    # What its clients find in their environment.
    exports: dict[str, str] = field(default_factory=dict)

    def cpu_seconds(self) -> float:
        """Processor time its threads have taken since it started."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        nanoseconds = (int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())
        return sum(nanoseconds) / 1e9


@dataclass(frozen=True)
class Place:
    """A temporary folder and the environment of whatever is started."""

    folder: Path
    programs: Path
    environment: dict[str, str]


@contextmanager
def place() -> Iterator[Place]:
    """A folder for everything, runs and records too, removed at the end."""
    prefix = Path(os.environ.get("OTTO_PREFIX", Path(__file__).parent.parent / "target/otto"))
    folder = Path(tempfile.mkdtemp(prefix="otto-bench-"))
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("OTTO_")
    }
    environment |= {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(prefix / "lib/otto/python"),
    }
    # Compiled modules are kept, as they are for every user.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        yield Place(folder, prefix / "bin", environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def otto_serve(where: Place, *, cores: str | None = None) -> Iterator[Server]:
    """Our server, pinned to `cores` if given."""
    command = [*pinned(cores), str(where.programs / "otto-serve")]
    process = subprocess.Popen(
        command, env=where.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with ending(process):
        # It prints what to export and closes its output once clients can connect.
        lines = [line.removeprefix("export ").rstrip() for line in process.stdout]
        pairs = (line.split("=", 1) for line in lines)
        exports = {name: value.strip("'") for name, value in pairs}
        yield Server(process, Path(exports["OTTO_SOCKET"]), exports)


@contextmanager
def redis_server(where: Place, *, cores: str | None = None) -> Iterator[Server]:
    """The peer: on a Unix socket alone, persistence off."""
    path = where.folder / f"redis-{os.urandom(4).hex()}.sock"
    command = [*pinned(cores), "redis-server", "--port", "0", "--unixsocket", str(path)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(where.folder), "--daemonize", "no"]
    process = subprocess.Popen(
        command, env=where.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    with ending(process):
        wait_for(path, process)
        yield Server(process, path)


def pinned(cores: str | None) -> list[str]:
    return ["taskset", "-c", cores] if cores else []


@contextmanager
def ending(process: subprocess.Popen) -> Iterator[None]:
    """Ends the process with the block."""
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(READY_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def wait_for(path: Path, process: subprocess.Popen) -> None:
    """Redis announces nothing, so it is asked until it answers."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit(f"redis-server ended at once, status {process.returncode}")
        try:
            with socket.socket(socket.AF_UNIX) as attempt:
                attempt.connect(str(path))
                return
        except OSError:
            time.sleep(0.01)
    raise SystemExit(f"redis-server does not answer on {path}")
