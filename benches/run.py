"""`make bench`: our figures beside the peers', both sides in one run, in turn.

Prints a table of medians, their ratio and the goal. With names of sections, only those.
"""

import sys
import time
from contextlib import ExitStack
from pathlib import Path

import crowds
import datasets
import documents
import imports
import log_pipeline
import processes
import progress
import python_values
import redis_load
import server_load
import streams
import tasks
from place import Place, otto_serve, place, redis_server
from row import HEADING, Row


def sections(where: Place, stack: ExitStack):
    """What there is to measure, by name."""
    otto = stack.enter_context(otto_serve(where))
    redis = stack.enter_context(redis_server(where))
    return {
        "processes": lambda: processes.measure(where, otto, redis),
        "python": lambda: python_values.measure(otto, redis),
        "imports": lambda: imports.measure(where),
        "progress": lambda: progress.measure(otto),
        "tasks": lambda: tasks.measure(where),
        "server": lambda: server_load.measure(where),
        "redis": lambda: redis_load.measure(where),
        "crowds": lambda: crowds.measure(where),
        "documents": lambda: documents.measure(where, otto),
        "datasets": lambda: datasets.measure(where, otto),
        "streams": lambda: streams.measure(where, otto),
        "logs": lambda: log_pipeline.measure(where),
    }


def sizes(where: Place) -> str:
    """Each installed program with its size."""
    programs = sorted(path for path in Path(where.programs).iterdir() if path.is_file())
    return "\n".join(f"  {path.name:<18}{path.stat().st_size / 1024:7.0f} KiB" for path in programs)


def main(wanted: list[str]) -> int:
    """Measures the sections `wanted`, all if none is named; 0 also where a goal is missed."""
    begin = time.monotonic()
    rows: list[Row] = []
    with place() as where, ExitStack() as stack:
        sys.path.append(where.environment["PYTHONPATH"])
        known = sections(where, stack)
        unknown = set(wanted) - set(known)
        if unknown:
            print(f"no section {' '.join(sorted(unknown))}: there are {' '.join(known)}")
            return 2
        print(HEADING)
        for name in wanted or known:
            for row in known[name]():
                rows.append(row)
                print(row.line(), flush=True)
        print(f"\nsizes of the programs\n{sizes(where)}")
    missed = sum(row.verdict == "MISSED" for row in rows)
    goals = sum(row.goal is not None for row in rows)
    print(f"\n{goals - missed} of {goals} goals met, in {time.monotonic() - begin:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
