"""A document in shared memory beside a plain file of the same size."""

import os
from pathlib import Path

from measure import interleaved, timed
from place import Place, Server
from row import Row

TEXT = b'{"version":"1.2.3","count":12345,"names":["a","b","c"],"ok":1.5}'
COUNT = 2000


def measure(where: Place, server: Server) -> list[Row]:
    """64 bytes of JSON text in and out, bytes on both sides; the file is replaced by rename."""
    import otto

    os.environ.update(server.exports)
    try:
        region = otto.TaskDataRegion.create("bench", 65536)
        path = Path("/dev/shm") / where.folder.name
        new = path.with_suffix(".new")

        def write() -> None:
            for _ in range(COUNT):
                region.write(TEXT)

        def read() -> None:
            for _ in range(COUNT):
                region.read()

        def replace_file() -> None:
            for _ in range(COUNT):
                with open(new, "wb") as file:
                    file.write(TEXT)
                os.replace(new, path)

        def read_file() -> None:
            for _ in range(COUNT):
                with open(path, "rb") as file:
                    file.read()

        sides = {"write": write, "file write": replace_file, "read": read, "file read": read_file}
        samples = {name: timed(work, COUNT) for name, work in sides.items()}
        try:
            cost = interleaved(samples, rounds=40, seconds=4)
        finally:
            path.unlink(missing_ok=True)
            new.unlink(missing_ok=True)
    finally:
        for name in server.exports:
            os.environ.pop(name, None)
    return [
        Row(
            f"document {what}, {len(TEXT)} B",
            cost[what] * 1e6,
            "a file on tmpfs",
            cost[f"file {what}"] * 1e6,
            "us",
        )
        for what in ("read", "write")
    ]
