"""What one client notices while very many keys expire at once: the longest of its requests."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing

from measure import interleaved
from place import Place, Server, otto_serve, redis_server
from redis_memory import command, fill
from row import Row, times

KEYS = 300_000
# Longer than setting them takes.
SECONDS = 2.0


def longest(server: Server) -> float:
    """Seconds of the slowest request from when they are due until all have gone."""
    due = time.time() + SECONDS
    moment = b"%d" % int(due * 1000)
    fill(server, KEYS, lambda n: command(b"SET", b"key:%08d" % n, b"1", b"PXAT", moment))
    if time.time() > due:
        raise SystemExit(f"{KEYS} keys were not set within {SECONDS} s")
    time.sleep(due - time.time())
    slowest = 0.0
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(server.socket))
        left = b""
        while left != b":0\r\n":
            for _ in range(200):
                begin = time.perf_counter()
                client.sendall(command(b"GET", b"key:none"))
                client.recv(64)
                slowest = max(slowest, time.perf_counter() - begin)
            client.sendall(command(b"DBSIZE"))
            left = client.recv(64)
    return slowest


def expiry(where: Place, core: str) -> Iterator[Row]:
    """Both servers pinned alike."""
    with otto_serve(where, cores=core) as ours, redis_server(where, cores=core) as redis:
        servers = {"ours": ours, "redis": redis}
        sides = {name: lambda server=server: longest(server) for name, server in servers.items()}
        took = interleaved(sides, rounds=3, seconds=60, warm_up=0)
    what = f"slowest GET while {KEYS:,} keys expire at once"
    yield Row(what, took["ours"] * 1e6, "redis", took["redis"] * 1e6, "us", times(1))
