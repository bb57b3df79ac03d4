"""A loop that reports its progress."""

from tqdm import tqdm

from measure import interleaved, timed
from place import Server
from row import Row, times

ITERATIONS = 300_000


def measure(server: Server) -> list[Row]:
    """Row of design 5: a progress update; ours goes to a server, theirs to nowhere."""
    import os

    import otto

    def loop(items) -> None:
        for _ in items:
            pass

    os.environ.update(server.exports)
    try:
        with open(os.devnull, "w") as nowhere:
            sides = {
                "ours": timed(lambda: loop(otto.progress(range(ITERATIONS))), ITERATIONS),
                "tqdm": timed(lambda: loop(tqdm(range(ITERATIONS), file=nowhere)), ITERATIONS),
                "bare": timed(lambda: loop(range(ITERATIONS)), ITERATIONS),
            }
            cost = interleaved(sides, rounds=40, seconds=6)
    finally:
        for name in server.exports:
            os.environ.pop(name, None)
    ours = cost["ours"] * 1e9
    what = "progress loop, an iteration"
    return [
        Row(what, ours, "tqdm", cost["tqdm"] * 1e9, "ns", times(1)),
        Row(what, ours, "the bare loop", cost["bare"] * 1e9, "ns"),
    ]
