"""Streams between the tasks of a real otto-run, which fail and keep their interpreter busy."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

OTTO_RUN = os.path.join(os.environ.get("OTTO_PREFIX", ""), "bin", "otto-run")

pytestmark = pytest.mark.skipif(not shutil.which(OTTO_RUN), reason="otto-run is not built")

PRODUCER = """
import otto
with otto.output_pipe() as out:
    out.write({"i": 0})
    # Only who reads already can have said that it asks what kind of end it is.
    otto.wait("report.reading", timeout=30)
    for number in range(1, 1000):
        out.write({"i": number})
raise SystemExit(%d)
"""

CONSUMERS = {
    "python": (
        "python",
        """
import otto
seen = []
try:
    for row in otto.input_pipe():
        seen.append(row["i"])
        if len(seen) == 1:
            otto.set("reading", True)
    end = "a clean end"
except otto.ProducerEnded as error:
    end = str(error)
""",
    ),
    "coroutine": (
        "python",
        """
import asyncio, otto
seen = []
async def main():
    async for row in otto.input_pipe():
        seen.append(row["i"])
        if len(seen) == 1:
            otto.set("reading", True)
try:
    asyncio.run(main())
    end = "a clean end"
except otto.ProducerEnded as error:
    end = str(error)
""",
    ),
    "bash": (
        "bash",
        """
source "$OTTO_SH"
count=0
while otto_recv -v row || { end=$?; false; }; do
  [[ $row == '{"i":'$count'}' ]] || exit 9
  [[ $count -gt 0 ]] || otto_set reading 1
  count=$((count + 1))
done
echo "$count $end" >"$RESULT"
""",
    ),
}
RESULT = """
import os
whole = seen == list(range(1000))
with open(os.environ["RESULT"], "w") as out:
    print(whole and 1000, end, file=out)
"""


def run(folder: Path, producer: str, kind: str, consumer: str) -> subprocess.CompletedProcess[str]:
    def indented(text: str) -> str:
        return text.replace("\n", "\n      ")

    (folder / "otto.yml").write_text(
        "tasks:\n"
        f"  fetch:\n    streaming: true\n    python: |{indented(producer)}\n"
        f"  report:\n    streaming: true\n    before: [fetch]\n    {kind}: |{indented(consumer)}\n"
    )
    return subprocess.run(
        [OTTO_RUN, "--plain", "report"],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "RESULT": str(folder / "result")},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("name", CONSUMERS)
@pytest.mark.parametrize("status", [0, 3])
def test_everything_and_then_what_kind_of_end_it_is(tmp_path: Path, name: str, status: int) -> None:
    kind, code = CONSUMERS[name]
    ran = run(tmp_path, PRODUCER % status, kind, code + (RESULT if kind == "python" else ""))
    assert (ran.returncode == 0) == (status == 0), ran.stderr
    ends = {
        ("python", 0): "a clean end",
        ("python", 3): "the producer fetch failed: its stream broke off",
        ("bash", 0): "1",
        ("bash", 3): "6",
    }
    assert (tmp_path / "result").read_text() == f"1000 {ends[kind, status]}\n", ran.stderr


def test_a_record_arrives_although_the_producer_holds_the_gil(tmp_path: Path) -> None:
    """And never lets go of it: one call of C that computes until the reader has said it came."""
    producer = """
import otto, time
out = otto.output_pipe()
# The reader is there and has imported what it needs.
otto.wait("report.ready", timeout=30)
out.write(time.monotonic())
otto_end = time.monotonic() + 1.5
while time.monotonic() < otto_end:
    # Each of these is a tenth of a second or more in C, without a switch of threads.
    hash(3 ** 400_000 % 7)
out.close()
"""
    consumer = """
import os, otto, time
rows = otto.input_pipe()
otto.set("ready", True)
written = rows.read()
late = time.monotonic() - written
with open(os.environ["RESULT"], "w") as out:
    print(late, file=out)
list(rows)
"""
    best = 1.0
    for _ in range(3):
        ran = run(tmp_path, producer, "python", consumer)
        assert ran.returncode == 0, ran.stderr
        best = min(best, float((tmp_path / "result").read_text()))
        if best < 0.1:
            return
    pytest.fail(f"it took {best} seconds")
