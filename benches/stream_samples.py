"""Samples of a stream between stream_load.py's ends: under otto-run, in a shell, over a FIFO.

The ends are started anew for each sample. A reader tells when the first and the last of its stream
came, so that starting up is not counted: a rate is what came, by the time from the last reader's
first byte to the last reader's end.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from shlex import quote

from measure import Sample
from place import Place, Server

PIPE_BYTES = 1 << 20
LOAD = Path(__file__).with_name("stream_load.py")
# No single sample takes longer, or the bench ends.
SECONDS_MAX = 60


@dataclass(frozen=True)
class Samples:
    """How samples are taken in a place."""

    where: Place
    server: Server

    def end(self, what: str, argument: object) -> str:
        """The words of a shell for one end of a stream."""
        return f"{quote(sys.executable)} {quote(str(LOAD))} {what} {quote(str(argument))}"

    def reader(self, way: str = "bytes") -> str:
        """The words for an end that reads."""
        return self.end(way, self.report)

    @property
    def report(self) -> Path:
        """The socket that readers report to."""
        return self.where.folder / "report"

    def tasks(self, writers: list[str], readers: list[str], count: int) -> Sample:
        """A sample: tasks of otto-run, every writer's stream read by every reader."""
        names = [f"p{number}" for number in range(len(writers))]
        lines = [
            f"  {name}: {{streaming: true, bash: {json.dumps(f'exec {words} >$OTTO_OUTPUT_PIPE')}}}"
            for name, words in zip(names, writers, strict=True)
        ]
        lines += [
            f"  c{number}: {{streaming: true, before: [{', '.join(names)}], "
            f"bash: {json.dumps(f'exec {words}')}}}"
            for number, words in enumerate(readers)
        ]
        text = "tasks:\n" + "\n".join(lines) + "\n"
        file = self.where.folder / "streams.yml"
        command = [str(self.where.programs / "otto-run"), "--plain", "-f", str(file)]

        def sample() -> float:
            file.write_text(text)
            return self.rate(command, count, len(readers))

        return sample

    def shell(self, script: str, count: int, readers: int = 1) -> Sample:
        """A sample: a script of bash."""
        return lambda: self.rate(["bash", "-c", script], count, readers)

    def fifo(self, writer: str, reader: str, count: int) -> Sample:
        """A sample: nothing between the ends but a FIFO of 1 MiB."""
        path = self.where.folder / "bare.fifo"

        def sample() -> float:
            path.unlink(missing_ok=True)
            os.mkfifo(path)
            # It keeps its size as long as anybody has it open.
            held = os.open(path, os.O_RDWR)
            fcntl(held, F_SETPIPE_SZ, PIPE_BYTES)
            read, write = os.open(path, os.O_RDONLY), os.open(path, os.O_WRONLY)
            os.close(held)
            close = f"{read}<&- {write}>&-"
            script = f"{writer} >&{write} {close} & exec {reader} <&{read} {close}"
            return self.rate(["bash", "-c", script], count, inherited=[read, write])

        return sample

    def rate(
        self, command: list[str], count: int, readers: int = 1, inherited: tuple | list = ()
    ) -> float:
        """Runs `command`, whose readers get `count` each: how much that was in a second."""
        with self.reports() as reports:
            process = subprocess.Popen(
                command,
                cwd=self.where.folder,
                env=self.where.environment | self.server.exports,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                text=True,
                pass_fds=inherited,
            )
            for end in inherited:
                os.close(end)
            try:
                told = [json.loads(reports.recv(4096)) for _ in range(readers)]
                _, said = process.communicate(timeout=SECONDS_MAX)
            except (TimeoutError, subprocess.TimeoutExpired):
                os.killpg(process.pid, signal.SIGKILL)
                _, said = process.communicate()
                raise SystemExit(f"{' '.join(command)}: no end\n{said}") from None
        came = {one["count"] for one in told}
        if process.returncode != 0 or came != {count}:
            what = f"status {process.returncode}, {came} instead of {count}"
            raise SystemExit(f"{' '.join(command)}: {what}\n{said}")
        return count / (max(one["end"] for one in told) - max(one["begin"] for one in told))

    @contextmanager
    def reports(self) -> Iterator[socket.socket]:
        """What the readers of one sample report to."""
        self.report.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reports:
            reports.bind(str(self.report))
            reports.settimeout(SECONDS_MAX)
            yield reports
