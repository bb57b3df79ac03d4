"""Beside redis-server on the same kind of socket, asked by Redis's own redis-benchmark.

Both servers have one core and the client the other. Where redis-benchmark sends one request at a
time it is what takes longest, so the server's processor time a request stands beside the rate.
"""

import csv
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from measure import interleaved
from place import Place, Server, otto_serve, redis_server
from redis_expiry import expiry
from redis_memory import memory
from redis_publish import publish
from row import Row, rate, times

ROUNDS = 5
TESTS = ["set", "get", "incr", "lpush", "rpop", "mset"]


class Load:
    """What redis-benchmark is told, and how many requests of it take about a fifth of a second."""

    def __init__(self, clients: int, depth: int, requests: int):
        self.clients, self.depth, self.requests = clients, depth, requests

    def words(self, test: str) -> list[str]:
        # Ten keys each.
        requests = self.requests // (3 if test == "mset" else 1)
        words = ["-t", test, "-c", self.clients, "-P", self.depth, "-n", requests]
        return [str(word) for word in words]


ONE_DEEP = Load(50, 1, 25_000)
SIXTEEN_DEEP = Load(50, 16, 200_000)
ALONE = Load(1, 1, 6_000)


def benchmark(server: Server, test: str, load: Load) -> tuple[float, float]:
    """Requests a second, and the server's processor time for one, in seconds."""
    words = load.words(test)
    before = server.cpu_seconds()
    done = subprocess.run(
        ["redis-benchmark", "-s", str(server.socket), "--csv", *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    spent = server.cpu_seconds() - before
    rows = list(csv.DictReader(done.stdout.splitlines()))
    if len(rows) != 1:
        raise SystemExit(f"redis-benchmark {' '.join(words)}: {done.stdout}{done.stderr}")
    return float(rows[0]["rps"]), spent / int(words[-1])


def both(sides: dict[str, Server], test: str, load: Load) -> dict[str, tuple[float, float]]:
    """The medians of rate and cost of each side, measured in turn."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}

    def sample(name: str, server: Server) -> Callable[[], float]:
        def ask() -> float:
            found[name].append(benchmark(server, test, load))
            return 0.0

        return ask

    interleaved(
        {name: sample(name, server) for name, server in sides.items()},
        rounds=ROUNDS,
        seconds=60,
        warm_up=0,
    )
    return {
        name: (
            statistics.median(rate for rate, _ in samples),
            statistics.median(cost for _, cost in samples),
        )
        for name, samples in found.items()
    }


def measure(where: Place) -> Iterator[Row]:
    """Rows of design 5 that stand beside Redis: requests, memory, publishing."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("  left out: needs two cores")
        return
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        # Whatever is started from here asks from the other core.
        os.sched_setaffinity(0, {cores[1]})
        core = str(cores[0])
        sides = {
            "ours": stack.enter_context(otto_serve(where, cores=core)),
            "redis": stack.enter_context(redis_server(where, cores=core)),
        }
        for load, cpu, throughput in [(ONE_DEEP, 0.9, 1.0), (SIXTEEN_DEEP, 0.6, 1.2)]:
            name = f"{load.clients} clients, {load.depth} deep"
            yield from loaded(sides, load, name, cpu, throughput)
        yield from alone(sides)
        yield from publish(sides)
        yield from memory(where, core)
        yield from expiry(where, core)


def loaded(
    sides: dict[str, Server], load: Load, name: str, cpu: float, throughput: float
) -> Iterator[Row]:
    ratios: dict[str, list[float]] = {"CPU": [], "rate": []}
    for test in TESTS:
        result = both(sides, test, load)
        (our_rate, our_cost), (rate_there, cost_there) = result["ours"], result["redis"]
        ratios["CPU"].append(our_cost / cost_there)
        ratios["rate"].append(our_rate / rate_there)
        what = f"{test.upper()}, {name}"
        yield Row(f"{what}: CPU", our_cost * 1e6, "redis", cost_there * 1e6, "us", times(cpu))
        yield Row(what, our_rate / 1e3, "redis", rate_there / 1e3, "k/s", rate(throughput))
    for kind, goal in [("CPU", times(cpu)), ("rate", rate(throughput))]:
        mean = statistics.geometric_mean(ratios[kind])
        yield Row(f"six, {name}: {kind}", mean, "redis", 1.0, "x", goal)


def alone(sides: dict[str, Server]) -> Iterator[Row]:
    ratios = []
    for test in TESTS:
        result = both(sides, test, ALONE)
        ours, theirs = (1e6 / result[name][0] for name in ("ours", "redis"))
        ratios.append(ours / theirs)
        yield Row(f"{test.upper()}, one client", ours, "redis", theirs, "us", times(0.7))
    mean = statistics.geometric_mean(ratios)
    yield Row("all six, one client", mean, "redis", 1.0, "x", times(0.7))
