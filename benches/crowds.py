"""What one client notices of the others: its requests beside a crowd, and beside nobody."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from place import Place, Server, otto_serve
from redis_publish import receive
from row import Row, below, times

REQUEST, REPLY = b"GET bench.small\n", b"1\n"
REQUESTS = 4000
ROUNDS = 5
CONNECTIONS = 5000


def connected(server: Server) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(server.socket))
    return client


def ask(client: socket.socket, order: bytes, answer: bytes) -> None:
    client.sendall(order)
    receive(client, len(answer))


def latencies(client: socket.socket) -> list[float]:
    took = []
    for _ in range(REQUESTS):
        begin = time.perf_counter()
        client.sendall(REQUEST)
        receive(client, len(REPLY))
        took.append(time.perf_counter() - begin)
    return took


def non_readers(server: Server, stack: ExitStack) -> None:
    """Ten that ask for 500 MiB each and read nothing."""
    for _ in range(10):
        stack.enter_context(connected(server)).sendall(b"GET bench.big\n" * 500)


def many(server: Server, stack: ExitStack) -> None:
    """Thousands that are there; each has asked once."""
    for _ in range(CONNECTIONS):
        ask(stack.enter_context(connected(server)), b"PING\n", b"OK\n")


def replaying(server: Server, stack: ExitStack) -> None:
    """One that has the whole history sent again and again, in a process of its own."""
    program = (
        "import os, socket, sys\n"
        # The one that is measured comes first on the core they share.
        "os.nice(19)\n"
        "while True:\n"
        " with socket.socket(socket.AF_UNIX) as client:\n"
        "  client.connect(sys.argv[1])\n"
        "  client.sendall(b'SUBSCRIBE * start\\n')\n"
        "  left = int(sys.argv[2])\n"
        "  while left > 0:\n"
        "   left -= len(client.recv(1 << 20))\n"
    )
    reader = subprocess.Popen([sys.executable, "-c", program, str(server.socket), str(4 << 20)])
    stack.callback(reader.wait)
    stack.callback(reader.kill)


def measure(where: Place) -> Iterator[Row]:
    """Rows of faults 31 to 33: the middle and the slowest but one in a hundred."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        server = stack.enter_context(otto_serve(where, cores=str(cores[0])))
        if len(cores) > 1:
            os.sched_setaffinity(0, {cores[1]})
        client = stack.enter_context(connected(server))
        ask(client, b"SET bench.small 1\n", b"OK\n")
        ask(client, b'SET bench.big "' + b"x" * (1 << 20) + b'"\n', b"OK\n")
        for number in range(8):
            ask(client, b'SET bench.past%d "%b"\n' % (number, b"y" * (1 << 20)), b"OK\n")
        crowds: list[tuple[str, Callable[[Server, ExitStack], None]]] = [
            ("10 that never read", non_readers),
            (f"{CONNECTIONS:,} connections", many),
            ("a replaying one", replaying),
        ]
        for name, gather in crowds:
            if gather is many and hard < CONNECTIONS + 200:
                print(f"  left out: {hard} descriptors are allowed")
                continue
            alone: list[float] = []
            beside: list[float] = []
            for _ in range(ROUNDS):
                alone += latencies(client)
                with ExitStack() as crowd:
                    gather(server, crowd)
                    beside += latencies(client)
                settled(client)
            alone.sort()
            beside.sort()
            for figure, part, goal in [
                ("p50", 0.5, times(2) if gather is not replaying else None),
                ("p99", 0.99, below(5000, "us")),
            ]:
                at = int(len(alone) * part)
                what = f"{figure} beside {name}"
                yield Row(what, beside[at] * 1e6, "alone", alone[at] * 1e6, "us", goal)


def settled(client: socket.socket) -> None:
    """Waits until the crowd is forgotten."""
    while True:
        client.sendall(b"STATS\n")
        figures = b""
        while not figures.endswith(b"\n"):
            figures += client.recv(65536)
        if b'"clients":1,' in figures:
            return
