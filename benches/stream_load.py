"""What streams.py puts at the ends of a stream, the same on every side.

`stream_load.py blocks COUNT`  writes COUNT blocks of 64 KiB, whole lines of 128 bytes
`stream_load.py lines COUNT`   writes COUNT lines of 100 bytes, each by a write of its own
`stream_load.py records COUNT` writes COUNT lines of JSON, in blocks
`stream_load.py bytes|stdin|sdk REPORT`
                               reads standard input to its end: as bytes, as lines of JSON from
                               `sys.stdin`, or with `otto.input_pipe()`; then tells REPORT, a
                               datagram socket, how much came and when the first and last of it.
"""

import json
import os
import socket
import sys
import time

BLOCK = 64 << 10
LINE = 128
SMALL_LINE = 100


def write_all(block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(1, view) :]


def blocks(count: int) -> None:
    line = b"%d " % os.getpid()
    block = (line + b"x" * (LINE - 1 - len(line)) + b"\n") * (BLOCK // LINE)
    for _ in range(count):
        write_all(block)


def lines(count: int) -> None:
    line = b"x" * (SMALL_LINE - 1) + b"\n"
    for _ in range(count):
        os.write(1, line)


def records(count: int) -> None:
    block, size = [], 0
    for number in range(count):
        record = {"id": number, "name": f"item {number}", "price": number / 8, "tags": ["a", "b"]}
        line = json.dumps(record).encode() + b"\n"
        block.append(line)
        size += len(line)
        if size >= BLOCK or number == count - 1:
            write_all(b"".join(block))
            block, size = [], 0


# What a reader returns: how much it read after the first of it, and when that first came.
Read = tuple[int, float]


def read_bytes() -> Read:
    buffer = bytearray(BLOCK)
    first = os.readv(0, [buffer])
    begin = time.monotonic()
    total = first
    while got := os.readv(0, [buffer]):
        total += got
    return total, begin


def read_stdin() -> Read:
    count, begin = 0, 0.0
    for line in sys.stdin:
        json.loads(line)
        begin = begin or time.monotonic()
        count += 1
    return count, begin


def read_sdk() -> Read:
    import otto

    count, begin = 0, 0.0
    for _ in otto.input_pipe():
        begin = begin or time.monotonic()
        count += 1
    return count, begin


def read(way: str, report: str) -> None:
    count, begin = {"bytes": read_bytes, "stdin": read_stdin, "sdk": read_sdk}[way]()
    told = {"count": count, "begin": begin, "end": time.monotonic()}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(json.dumps(told).encode(), report)


def main(what: str, argument: str) -> None:
    writers = {"blocks": blocks, "lines": lines, "records": records}
    if what in writers:
        writers[what](int(argument))
    else:
        read(what, argument)


if __name__ == "__main__":
    main(*sys.argv[1:])
