"""What a million keys take in memory: how much the server grows while they come."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from place import Place, Server, otto_serve, redis_server
from row import Row, times

KEYS = 1_000_000
BATCH = 2_000


def command(*words: bytes) -> bytes:
    """One command as Redis's clients send it."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def fill(server: Server, count: int, setting: Callable[[int], bytes]) -> None:
    """Sends so many SETs, which have to succeed."""
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(server.socket))
        for begin in range(0, count, BATCH):
            client.sendall(b"".join(setting(n) for n in range(begin, begin + BATCH)))
            left = BATCH * len(b"+OK\r\n")
            while left > 0:
                got = client.recv(65536)
                if not got or got.strip(b"+OK\r\n"):
                    raise SystemExit(f"a server refused a key: {got[:100]}")
                left -= len(got)


def resident(server: Server) -> int:
    """Bytes in memory."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    line = next(line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


def memory(where: Place, core: str) -> Iterator[Row]:
    """Fresh servers for each: what another load has left in memory would be used again."""
    sizes: list[tuple[str, Callable[[int], bytes]]] = [
        (
            # Most are numbers that Redis has stored beforehand, so that a value takes nothing.
            "32 bytes, value 4",
            lambda n: command(b"SET", b"key:%028d" % n, b"%04d" % (n % 9000)),
        ),
        (
            "32 bytes, value 3 (redis-benchmark's)",
            lambda n: command(b"SET", b"key:%028d" % n, b"VXK"),
        ),
        ("16 bytes, value 32", lambda n: command(b"SET", b"key:%012d" % n, b"%032x" % n)),
    ]
    for what, setting in sizes:
        grown = []
        for start in (otto_serve, redis_server):
            with start(where, cores=core) as server:
                before = resident(server)
                fill(server, KEYS, setting)
                grown.append((resident(server) - before) / KEYS)
        yield Row(f"memory, key {what}", grown[0], "redis", grown[1], "B", times(1))
