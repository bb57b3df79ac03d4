"""The server under one generator that speaks every dialect: ours in all three, Redis's as RESP.

Round trip: one client, server and client each on a core of their own. Processor time: fifty
clients, each sending its batch before any reply is read, so that the server always has work.
"""

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from measure import interleaved, timed
from place import Place, Server, otto_serve, redis_server
from row import Goal, Row, times

CLIENTS = 50
ROUND_TRIPS = 500
SECONDS = 0.25


@dataclass(frozen=True)
class Peer:
    """A server with its request, and the reply that one request brings."""

    server: Server
    request: bytes
    reply: bytes


def peers(otto: Server, redis: Server) -> dict[str, Peer]:
    """Both servers, holding the same value."""
    resp = (b"*2\r\n$3\r\nGET\r\n$7\r\nbench.x\r\n", b"$5\r\n1.2.3\r\n")
    sides = {
        "text": Peer(otto, b"GET bench.x\n", b'"1.2.3"\n'),
        "binary": Peer(otto, b"\0\0\0\x08\x02bench.x", b'\0\0\0\x08\0"1.2.3"'),
        "RESP": Peer(otto, *resp),
        "redis": Peer(redis, *resp),
    }
    for server, order, answer in [
        (otto, b'SET bench.x "1.2.3"\n', b"OK\n"),
        (redis, b"*3\r\n$3\r\nSET\r\n$7\r\nbench.x\r\n$5\r\n1.2.3\r\n", b"+OK\r\n"),
    ]:
        with closing(connected(server.socket)) as client:
            client.sendall(order)
            receive(client, len(answer))
    return sides


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def receive(client: socket.socket, count: int) -> None:
    while count > 0:
        got = len(client.recv(65536))
        if got == 0:
            raise SystemExit("a server closed the connection under load")
        count -= got


def round_trips(peer: Peer) -> Callable[[], None]:
    client = connected(peer.server.socket)

    def work() -> None:
        for _ in range(ROUND_TRIPS):
            client.sendall(peer.request)
            receive(client, len(peer.reply))

    return work


def cpu_per_request(peer: Peer, clients: list[socket.socket], depth: int) -> Callable[[], float]:
    batch, replies = peer.request * depth, len(peer.reply) * depth

    def sample() -> float:
        requests = 0
        before = peer.server.cpu_seconds()
        end = time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            for client in clients:
                client.sendall(batch)
            for client in clients:
                receive(client, replies)
            requests += depth * len(clients)
        return (peer.server.cpu_seconds() - before) / requests

    return sample


def measure(where: Place) -> list[Row]:
    """Rows of design 5: the round trip of one client, and processor time per request."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("  left out: needs two cores")
        return []
    rows = []
    with ExitStack() as stack:
        stack.callback(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, {cores[1]})
        server_core = str(cores[0])
        otto = stack.enter_context(otto_serve(where, cores=server_core))
        redis = stack.enter_context(redis_server(where, cores=server_core))
        sides = peers(otto, redis)
        cost = interleaved(
            {name: timed(round_trips(peer), ROUND_TRIPS) for name, peer in sides.items()},
            rounds=60,
            seconds=6,
        )
        rows += beside_redis("round trip, pinned", cost, times(0.7))
        for depth, goal in [(1, times(0.9)), (16, times(0.6))]:
            samples = {}
            for name, peer in sides.items():
                clients = [connected(peer.server.socket) for _ in range(CLIENTS)]
                for client in clients:
                    stack.callback(client.close)
                samples[name] = cpu_per_request(peer, clients, depth)
            cost = interleaved(samples, rounds=9, seconds=10)
            rows += beside_redis(f"CPU, {CLIENTS} clients, {depth} deep", cost, goal)
    return rows


def beside_redis(what: str, cost: dict[str, float], goal: Goal) -> list[Row]:
    """Each of our dialects beside Redis; seconds."""
    theirs = cost["redis"] * 1e6
    ours = [(name, seconds * 1e6) for name, seconds in cost.items() if name != "redis"]
    return [Row(f"{what}, {name}", us, "redis", theirs, "us", goal) for name, us in ours]
