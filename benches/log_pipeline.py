"""The log pipeline of the design sketch, on 1 GB of this machine's own text.

`tail` into a Python task that looks for a word in every line: tests/seed/logs.yml as it stands,
beside the same two programs in a shell's pipeline. Rate, and the most memory that each process had
(VmHWM, looked at while it runs: it only grows).
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from place import Place
from row import Row

FILE = Path(__file__).parent.parent / "tests/seed/logs.yml"
BYTES = 1_000_000_000
# So much is gathered from the machine; what is missing is the same again.
GATHERED = BYTES // 4
ENDINGS = (".log", ".txt", ".py", ".pl", ".pm", ".h", ".c", ".rs", ".sh", ".md", ".html", ".js")
PARSE = r"""
import re, sys
for line in sys.stdin:
    if re.search(r'ERROR', line):
        print(f'Found error: {line}')
"""
LOOK_SECONDS = 0.05
# No single run takes longer, or the bench ends.
SECONDS_MAX = 120


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds, and MiB at the most by the name of the program."""

    seconds: float
    peaks: dict[str, float]
    found: int


def measure(where: Place) -> Iterator[Row]:
    """The rate and each process's memory, one run on either side."""
    folder = where.folder / "logs"
    folder.mkdir()
    log = folder / "app.log"
    fill(log)
    try:
        ours = run(where, folder, [str(where.programs / "otto-run"), "--plain", "-f", str(FILE)])
        script = f"tail -n +1 app.log | python3 -c {quote(PARSE)}"
        theirs = run(where, folder, ["bash", "-c", script])
    finally:
        log.unlink()
    if ours.found != theirs.found:
        raise SystemExit(f"log pipeline: {ours.found} lines found instead of {theirs.found}")
    peer = "tail | python3"
    rates = [BYTES / cost.seconds / 1e6 for cost in (ours, theirs)]
    yield Row("log pipeline, 1 GB", rates[0], peer, rates[1], "MB/s")
    for program, name in [("tail", "producer"), ("python3", "consumer"), ("otto-run", "otto-run")]:
        peaks = [cost.peaks.get(program, 0) for cost in (ours, theirs)]
        yield Row(f"log pipeline, {name}'s peak", peaks[0], peer, peaks[1], "MiB")


def fill(log: Path) -> None:
    """Logs first, then text from below /usr, until it is 1 GB."""
    with log.open("wb") as out:
        for text in texts():
            out.write(text[: BYTES - out.tell()])
            if out.tell() >= GATHERED:
                break
        gathered = out.tell()
    if gathered == 0:
        raise SystemExit("log pipeline: no text in /var/log or below /usr")
    with log.open("rb") as again, log.open("r+b") as out:
        # At the end, but not for appending, which sendfile refuses.
        out.seek(gathered)
        missing = BYTES - gathered
        while missing > 0:
            missing -= os.sendfile(out.fileno(), again.fileno(), 0, min(gathered, missing))


def texts() -> Iterator[bytes]:
    """What reads as UTF-8, each ending with a line's end."""
    for root in ("/var/log", "/usr"):
        for folder, _, names in os.walk(root):
            for name in sorted(names):
                path = Path(folder, name)
                if not name.endswith(ENDINGS) or path.is_symlink() or not path.is_file():
                    continue
                try:
                    text = path.read_bytes()
                    text.decode()
                except (OSError, UnicodeDecodeError):
                    continue
                yield text if text.endswith(b"\n") else text + b"\n"


def run(where: Place, folder: Path, command: list[str]) -> Cost:
    """One run, watched."""
    out = folder / "out"
    peaks: dict[str, float] = {}
    begin = time.monotonic()
    with out.open("wb") as stdout:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=where.environment,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    while process.poll() is None:
        for name, peak in memory(process.pid):
            peaks[name] = max(peak, peaks.get(name, 0))
        if time.monotonic() > begin + SECONDS_MAX:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise SystemExit(f"{' '.join(command)}: no end")
        time.sleep(LOOK_SECONDS)
    seconds = time.monotonic() - begin
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: status {process.returncode}")
    found = sum(b"Found error: " in line for line in out.read_bytes().splitlines())
    return Cost(seconds, peaks, found)


def memory(process: int) -> Iterator[tuple[str, float]]:
    """Name and peak of a process and all below it."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
        threads = list(Path(f"/proc/{process}/task").iterdir())
        below = [(thread / "children").read_text() for thread in threads]
    except OSError:
        # It has just ended.
        return
    fields = dict(line.split(":", 1) for line in status.splitlines())
    if "VmHWM" in fields:
        yield fields["Name"].strip(), int(fields["VmHWM"].split()[0]) / 1024
    for child in " ".join(below).split():
        yield from memory(int(child))
