"""Running tasks that do nothing: what the runner itself costs."""

import subprocess

from measure import interleaved, timed
from place import Place
from row import Row, times

TASKS = 500
JOBS = 2
# No single run takes longer, or the bench ends.
SECONDS_MAX = 30


def measure(where: Place) -> list[Row]:
    """Row of design 5: 500 no-op bash tasks beside make with a bash for each target."""
    # Not `:`, which make sees through: it starts no shell for that.
    folder = where.folder / "tasks"
    folder.mkdir()
    names = [f"t{number}" for number in range(TASKS)]
    tasks = "".join(f"  {name}:\n    bash: 'true'\n" for name in names)
    (folder / "otto.yml").write_text(f"tasks:\n{tasks}")
    everything = " ".join(names)
    targets = "".join(f"{name}:\n\t@bash -c true\n" for name in names)
    (folder / "Makefile").write_text(f"all: {everything}\n.PHONY: all {everything}\n{targets}")
    environment = {
        name: value
        for name, value in where.environment.items()
        if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    }

    def command(*words: str):
        def work() -> None:
            subprocess.run(
                words,
                cwd=folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
                timeout=SECONDS_MAX,
            )

        return timed(work)

    sides = {
        "ours": command(str(where.programs / "otto-run"), "--plain", "-j", str(JOBS)),
        "make": command("make", f"-j{JOBS}"),
    }
    cost = interleaved(sides, rounds=9, seconds=20)
    ours, theirs = cost["ours"], cost["make"]
    return [Row(f"{TASKS} no-op bash tasks", ours, f"make -j{JOBS}", theirs, "s", times(2))]
