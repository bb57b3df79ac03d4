"""Streams between running programs: otto-run's edges and otto-pipe beside what a shell has."""

from collections.abc import Iterator

from measure import Sample, interleaved
from place import Place, Server
from row import Goal, Row, rate
from stream_load import BLOCK, SMALL_LINE
from stream_samples import Samples

MIB, GIB = 1 << 20, 1 << 30
BRANCHES = 4
ROUNDS = 5
# Of each comparison; one is cut short after three rounds.
SECONDS = 8


def measure(where: Place, server: Server) -> Iterator[Row]:
    """Rows of design 5: streams at 64 KiB writes; lines, small writes and records too."""
    samples = Samples(where, server)
    parts = [edge, small_writes, fan_out, merge, by_name, pipeline, records]
    for part in parts:
        yield from part(samples)


def compared(sides: dict[str, Sample]) -> dict[str, float]:
    return interleaved(sides, rounds=ROUNDS, seconds=SECONDS)


def rows(
    what: str, rates: dict[str, float], goals: dict[str, Goal | None], unit: str = "GiB/s"
) -> list[Row]:
    """Ours, the first of `rates`, beside each of the others."""
    scale = {"GiB/s": GIB, "MiB/s": MIB, "k/s": 1000}[unit]
    ours, *peers = rates
    return [
        Row(what, rates[ours] / scale, peer, rates[peer] / scale, unit, goals.get(peer))
        for peer in peers
    ]


def edge(samples: Samples) -> list[Row]:
    total = GIB
    writer, reader = samples.end("blocks", total // BLOCK), samples.reader()
    rates = compared(
        {
            "ours": samples.tasks([writer], [reader], total),
            "shell's a | b": samples.shell(f"{writer} | {reader}", total),
            "bare 1 MiB FIFO": samples.fifo(writer, reader, total),
        }
    )
    goals = {"shell's a | b": rate(2), "bare 1 MiB FIFO": rate(0.95)}
    return rows("an edge, 64 KiB writes", rates, goals)


def small_writes(samples: Samples) -> list[Row]:
    count = 500_000
    writer, reader = samples.end("lines", count), samples.reader()
    rates = compared(
        {
            "ours": samples.tasks([writer], [reader], count * SMALL_LINE),
            "bare 1 MiB FIFO": samples.fifo(writer, reader, count * SMALL_LINE),
        }
    )
    return rows("an edge, 100 byte writes", rates, {}, "MiB/s")


def fan_out(samples: Samples) -> list[Row]:
    total = GIB // 4
    writer, reader = samples.end("blocks", total // BLOCK), samples.reader()
    branches = " ".join([f">({reader})"] * (BRANCHES - 1))
    outputs = " ".join([f"-o >({reader})"] * BRANCHES)
    quoted = " ".join([f'"{reader}"'] * BRANCHES)
    rates = compared(
        {
            "ours": samples.tasks([writer], [reader] * BRANCHES, total),
            "tee >() >() >()": samples.shell(f"{writer} | tee {branches} | {reader}", total, 4),
            "pee": samples.shell(f"{writer} | pee {quoted}", total, 4),
            "mbuffer": samples.shell(f"{writer} | mbuffer -q -f {outputs}", total, 4),
        }
    )
    best = max((name for name in rates if name != "ours"), key=lambda name: rates[name])
    return rows(f"fan-out to {BRANCHES}, bytes to each", rates, {best: rate(2)})


def merge(samples: Samples) -> list[Row]:
    """What `cat` mixes within lines, since its writes may be split, otto-run does not."""
    total = GIB // 2
    writer, reader = samples.end("blocks", total // BLOCK // BRANCHES), samples.reader()
    fifos = " ".join(str(samples.where.folder / f"m{number}") for number in range(BRANCHES))
    script = f"""
        rm -f {fifos}; mkfifo {fifos}
        for fifo in {fifos}; do {writer} >"$fifo" & done
        {{ for fifo in {fifos}; do cat "$fifo" & done; wait; }} | {reader}"""
    rates = compared(
        {
            "ours": samples.tasks([writer] * BRANCHES, [reader], total),
            "cat of 4 FIFOs &": samples.shell(script, total),
        }
    )
    return rows(f"merge of {BRANCHES}, whole lines", rates, {})


def by_name(samples: Samples) -> list[Row]:
    total = GIB
    writer, reader = samples.end("blocks", total // BLOCK), samples.reader()
    fifo = samples.where.folder / "by-name"
    ours = f"""
        otto-pipe create bench >/dev/null
        {writer} | otto-pipe write bench & otto-pipe read bench | {reader}"""
    theirs = f"""
        rm -f {fifo}; mkfifo {fifo}
        {writer} | cat >{fifo} & cat {fifo} | {reader}"""
    sides = {"ours": samples.shell(ours, total), "cat, a FIFO, cat": samples.shell(theirs, total)}
    return rows("otto-pipe write, read", compared(sides), {})


def pipeline(samples: Samples) -> list[Row]:
    total = GIB
    writer, reader = samples.end("blocks", total // BLOCK), samples.reader()
    rates = compared(
        {
            "ours": samples.shell(f"{writer} | otto-pipe tee - | {reader}", total),
            "pv -q": samples.shell(f"{writer} | pv -q | {reader}", total),
        }
    )
    return rows("otto-pipe in a pipeline", rates, {"pv -q": rate(1.5)})


def records(samples: Samples) -> list[Row]:
    """The same edge of otto-run for both."""
    count = 200_000
    writer = samples.end("records", count)
    rates = compared(
        {
            "ours": samples.tasks([writer], [samples.reader("sdk")], count),
            "stdin, json.loads": samples.tasks([writer], [samples.reader("stdin")], count),
        }
    )
    return rows("otto.input_pipe(), records", rates, {"stdin, json.loads": rate(1)}, "k/s")
