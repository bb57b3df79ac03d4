"""`otto-set` as a process, beside the smallest program there is and what else stores a value.

Two launchers. `posix_spawn` starts programs as a runner does and adds least of its own. A bash
started once runs what a user types, each with bash's own fork: `echo | nc` is two of them.
"""

import os
import shutil
import subprocess
import time

from measure import Sample, interleaved
from place import Place, Server
from row import Row, times

# What bash measures, by name; each word is read from standard input and answered with its cost.
SHELL = r"""
ours() { otto-set --global bench.shell 1; }
pipeline() { echo 'SET bench.shell 1' | nc -U -N "$OTTO_SOCKET" >/dev/null; }
while read -r name; do
  begin=${EPOCHREALTIME/./}
  "$name"
  echo $((${EPOCHREALTIME/./} - begin))
done
"""


def spawned(path: str, arguments: list[str], environment: dict[str, str]) -> Sample:
    """A sample: start the program, wait for its end; seconds."""
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)]
    words = [path, *arguments]

    def sample() -> float:
        begin = time.perf_counter()
        process = os.posix_spawn(path, words, environment, file_actions=nowhere)
        _, status = os.waitpid(process, 0)
        cost = time.perf_counter() - begin
        if status != 0:
            raise SystemExit(f"{' '.join(words)} failed: wait status {status}")
        return cost

    return sample


def measure(where: Place, otto: Server, redis: Server) -> list[Row]:
    """Rows of design 5: `otto-set` as a process."""
    environment = where.environment | otto.exports
    client = shutil.which("redis-cli", path=environment["PATH"])
    sides = {
        "ours": spawned(str(where.programs / "otto-set"), ["-g", "bench.a", "1"], environment),
        "true": spawned("/bin/true", [], environment),
        "redis": spawned(client, ["-s", str(redis.socket), "SET", "bench.a", "1"], environment),
    }
    spawn = interleaved(sides, rounds=1500, seconds=12, warm_up=20)
    shell = in_bash(environment)
    ours = spawn["ours"] * 1e6
    what = "otto-set, a process"
    return [
        Row(what, ours, "/bin/true", spawn["true"] * 1e6, "us", times(0.7)),
        Row(what, ours, "redis-cli SET", spawn["redis"] * 1e6, "us", times(0.1)),
        Row(
            "otto-set, from bash",
            shell["ours"],
            "echo | nc -U -N",
            shell["pipeline"],
            "us",
            times(0.3),
        ),
    ]


def in_bash(environment: dict[str, str]) -> dict[str, float]:
    """Both typed into one bash; microseconds."""
    bash = subprocess.Popen(
        ["bash", "-c", SHELL],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def sample(name: str) -> Sample:
        def ask() -> float:
            bash.stdin.write(f"{name}\n")
            bash.stdin.flush()
            return float(bash.stdout.readline())

        return ask

    try:
        sides = {"ours": sample("ours"), "pipeline": sample("pipeline")}
        return interleaved(sides, rounds=1000, seconds=8, warm_up=20)
    finally:
        bash.stdin.close()
        bash.wait()
        bash.stdout.close()
