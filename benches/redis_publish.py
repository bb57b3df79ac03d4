"""From the word to publish until all of a hundred subscribers have the message."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from measure import interleaved
from place import Server
from redis_memory import command
from row import Row, times

SUBSCRIBERS = 100
MESSAGES = 40
VALUE = b"x" * 32


@dataclass(frozen=True)
class Speech:
    """How one dialect subscribes and publishes, and how long its message is."""

    subscribe: bytes
    subscribed: int
    publish: bytes
    published: int


def frame(command_byte: int, payload: bytes) -> bytes:
    """One request of the binary dialect."""
    return (len(payload) + 1).to_bytes(4, "big") + bytes([command_byte]) + payload


RESP = Speech(
    command(b"SUBSCRIBE", b"news"),
    len(b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"),
    command(b"PUBLISH", b"news", VALUE),
    len(b":100\r\n"),
)
TEXT = Speech(b"SUBSCRIBE news\n", 3, b'PUBLISH news "' + VALUE + b'"\n', 3)
BINARY = Speech(frame(5, b"news"), 5, frame(10, b"\0\4news" + b'"' + VALUE + b'"'), 5)


class Audience:
    """A hundred connections that read, and one that publishes."""

    def __init__(self, server: Server, speech: Speech, stack: ExitStack):
        def connected() -> socket.socket:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(server.socket))
            return client

        self.speech = speech
        self.all = [connected() for _ in range(SUBSCRIBERS)]
        for client in self.all:
            client.sendall(speech.subscribe)
            receive(client, speech.subscribed)
        self.publisher = connected()

    def tell(self) -> None:
        """One message: every subscriber reads it whole."""
        self.publisher.sendall(self.speech.publish)
        for client in self.all:
            # It comes in one piece; how long it is depends on its number.
            if VALUE not in client.recv(4096):
                raise SystemExit("a message came in pieces, or not at all")
        receive(self.publisher, self.speech.published)

    def sample(self) -> Callable[[], float]:
        def ask() -> float:
            begin = time.perf_counter()
            for _ in range(MESSAGES):
                self.tell()
            return (time.perf_counter() - begin) / MESSAGES

        return ask


def receive(client: socket.socket, count: int) -> None:
    while count > 0:
        got = len(client.recv(count))
        if got == 0:
            raise SystemExit("a server closed the connection")
        count -= got


def publish(sides: dict[str, Server]) -> Iterator[Row]:
    """One server has one kind of subscriber at a time: all of them would get every message."""
    for name, speech in [("RESP", RESP), ("text", TEXT), ("binary", BINARY)]:
        with ExitStack() as stack:
            ours = Audience(sides["ours"], speech, stack)
            theirs = Audience(sides["redis"], RESP, stack)
            cost = interleaved(
                {"ours": ours.sample(), "redis": theirs.sample()}, rounds=25, seconds=3
            )
        what = f"publish to {SUBSCRIBERS}, {name}"
        yield Row(what, cost["ours"] * 1e6, "redis", cost["redis"] * 1e6, "us", times(1))
