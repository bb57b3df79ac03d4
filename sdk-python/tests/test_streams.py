"""Streams, between threads and processes, through FIFOs and through anonymous pipes."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import otto
import pytest
from conftest import eventually, python

RECORDS = [{"i": 1}, [1, "é\n😀"], "text", None, True, 2**70, 1.5, {}, "", {"k": "x" * 100_000}]


def in_thread(work: Any) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_records_come_through_as_they_were(server: otto.Server) -> None:
    def produce() -> None:
        with otto.output_pipe("rows") as out:
            for record in RECORDS:
                out.write(record)

    producer = in_thread(produce)
    assert list(otto.input_pipe("rows")) == RECORDS
    producer.join()


@pytest.mark.parametrize(
    ("mode", "lines"), [("text", ["a", "", "é\t"]), ("bytes", [b"a", b"", b"\xff\x00"])]
)
def test_other_modes(server: otto.Server, mode: Any, lines: list[Any]) -> None:
    def produce() -> None:
        with otto.output_pipe("rows", mode=mode) as out:
            for line in lines:
                out.write(line)
            with pytest.raises(otto.UsageError, match="one line"):
                out.write("a\nb" if mode == "text" else b"a\nb")
            with pytest.raises(TypeError):
                out.write({})

    producer = in_thread(produce)
    with otto.input_pipe("rows", mode=mode) as rows:
        assert list(rows) == lines
    producer.join()
    with pytest.raises(otto.UsageError, match="mode"):
        otto.input_pipe("rows", mode="xml")  # type: ignore[arg-type]


def test_the_tasks_own_pipes(monkeypatch: pytest.MonkeyPatch) -> None:
    # As otto-run lays them: a path to an anonymous pipe of another process.
    read, write = os.pipe()
    monkeypatch.setenv("OTTO_INPUT_PIPE", f"/proc/{os.getpid()}/fd/{read}")
    monkeypatch.setenv("OTTO_OUTPUT_PIPE", f"/proc/{os.getpid()}/fd/{write}")
    code = "import otto\nwith otto.output_pipe() as out: [out.write({'i': i}) for i in range(1000)]"
    python(code)
    os.close(write)
    assert [record["i"] for record in otto.input_pipe(timeout=10)] == list(range(1000))
    os.close(read)


def test_named_streams_outside_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    subprocess.run(["otto-pipe", "create", "rows"], check=True, capture_output=True)
    producer = in_thread(
        lambda: python(
            "import otto\nwith otto.output_pipe('rows') as out: out.write('from python')"
        )
    )
    read = subprocess.run(["otto-pipe", "read", "rows"], capture_output=True, timeout=10)
    assert read.stdout == b'"from python"\n'
    producer.join()
    producer = in_thread(lambda: subprocess.run(["otto-pipe", "write", "rows"], input=b"[1]\n"))
    assert list(otto.input_pipe("rows", timeout=10)) == [[1]]
    producer.join()
    with pytest.raises(otto.UsageError, match="no stream name"):
        otto.input_pipe("a/b")
    monkeypatch.setenv("OTTO_RUN_DIR", "/nowhere")
    with pytest.raises(otto.NoRun, match="no run here any more"):
        otto.output_pipe("rows")


def test_a_record_is_seen_although_the_producer_is_busy(server: otto.Server) -> None:
    rows = otto.input_pipe("rows", timeout=10)
    seen: list[Any] = []
    reader = in_thread(lambda: seen.append(rows.read()))
    with otto.output_pipe("rows") as out:
        out.write("first")
        written = time.monotonic()
        reader.join(10)
        assert seen == ["first"]
        assert time.monotonic() - written < 1, "sent without another write, flush or close"
        out.write("second")
        out.flush()
        assert rows.read() == "second"
    assert rows.read() is None
    assert rows.read() is None


def test_a_stream_of_lines_without_a_last_line_end(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    fifo = os.path.join(server.run_dir or "", "rows.fifo")

    def produce() -> None:
        with open(fifo, "w") as out:
            out.write('{"a":\t1}\n2\n"last"')

    producer = in_thread(produce)
    assert list(rows) == [{"a": 1}, 2, "last"]
    producer.join()


@pytest.mark.parametrize("line", ["nonsense", '{"a":', "", "NaN", '"\\ud800"'])
def test_a_line_that_is_no_json_is_named(server: otto.Server, line: str) -> None:
    rows = otto.input_pipe("rows")
    fifo = os.path.join(server.run_dir or "", "rows.fifo")

    def produce() -> None:
        with open(fifo, "w") as out:
            out.write(f"1\n{line}\n3\n")

    producer = in_thread(produce)
    assert rows.read() == 1
    with pytest.raises(otto.Corrupt, match="line 2"):
        rows.read()
    assert rows.read() == 3, "the stream goes on"
    producer.join()


def test_nobody_reads_any_more(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    reader = in_thread(rows.read)
    out = otto.output_pipe("rows")
    out.write(1)
    out.flush()
    reader.join()
    rows.close()
    with pytest.raises(BrokenPipeError) as caught:
        while True:
            out.write("x" * 1000)
    assert isinstance(caught.value, otto.StreamClosed)
    with pytest.raises(otto.StreamClosed):
        out.flush()
    with pytest.raises(otto.StreamClosed):
        out.close()
    out.close()
    with pytest.raises(otto.UsageError, match="closed"):
        out.write(1)


def test_a_slow_reader_holds_the_producer_up(server: otto.Server) -> None:
    written = 0

    def produce() -> None:
        nonlocal written
        with otto.output_pipe("rows") as out:
            for _ in range(300):
                out.write("x" * 10_000)
                written += 1

    producer = in_thread(produce)
    rows = otto.input_pipe("rows")
    assert rows.read() == "x" * 10_000
    # What pipe and buffers hold, and not all there is.
    eventually(lambda: written > 50)
    assert written < 300
    assert sum(1 for _ in rows) == 299
    producer.join()


def test_timeouts(server: otto.Server) -> None:
    with pytest.raises(otto.TimedOut):
        otto.output_pipe("nobody", timeout=0.02)
    rows = otto.input_pipe("rows", timeout=0.02)
    with pytest.raises(otto.TimedOut):
        next(rows)
    producer = in_thread(lambda: otto.output_pipe("rows").write("late"))

    # A timeout is no end: reading goes on where it was.
    def read() -> Any:
        try:
            return next(rows)
        except otto.TimedOut:
            return None

    assert eventually(read) == "late"
    producer.join()


@pytest.mark.parametrize("end", ["pass", "raise SystemExit", "del out", "import sys; sys.exit()"])
def test_records_survive_an_end_without_close(server: otto.Server, end: str) -> None:
    code = f"import otto\nout = otto.output_pipe('rows')\nout.write('kept')\n{end}"
    producer = subprocess.Popen([sys.executable, "-c", code])
    assert list(otto.input_pipe("rows", timeout=20)) == ["kept"]
    assert producer.wait() == 0


def test_an_end_sends_all_although_one_reader_has_gone(server: otto.Server) -> None:
    code = """if True:
        import ctypes, otto
        streams = [otto.output_pipe(name) for name in ("gone", "rows")]
        for stream in streams:  # of which nobody clears up at the end
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(stream))
        input()
        for stream in streams:
            stream.write("kept")
    """
    gone, rows = otto.input_pipe("gone"), otto.input_pipe("rows", timeout=20)
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as producer:
        readers = [in_thread(gone.read)]
        seen: list[Any] = []
        readers.append(in_thread(lambda: seen.extend(rows)))
        eventually(lambda: len(pipes_of(producer.pid)) == 2)
        gone.close()
        readers[0].join()
        producer.communicate(b"\n")
    readers[1].join()
    assert seen == ["kept"]


def pipes_of(pid: int) -> list[str]:
    """The streams that a process has open."""
    folder, found = f"/proc/{pid}/fd", []
    for fd in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(f"{folder}/{fd}"))
    return [path for path in found if path.endswith(".fifo")]


def test_many_threads_write_whole_lines(server: otto.Server) -> None:
    def produce() -> None:
        with otto.output_pipe("rows") as out:
            threads = [
                in_thread(lambda n=n: [out.write([n, i, "x" * (i % 300)]) for i in range(500)])
                for n in range(6)
            ]
            for thread in threads:
                thread.join()

    producer = in_thread(produce)
    last = [-1] * 6
    for number, step, filler in otto.input_pipe("rows"):
        assert step == last[number] + 1
        assert len(filler) == step % 300
        last[number] = step
    assert last == [499] * 6
    producer.join()


def test_what_a_stream_takes_while_it_is_closed_arrives(server: otto.Server) -> None:
    otto.input_pipe("rows")
    fifo = os.path.join(server.run_dir or "", "rows.fifo")
    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    out = otto.output_pipe("rows", mode="text")
    full = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full, b"\n" * 4096)
    os.close(full)
    out.write("before")
    closer = in_thread(out.close)
    accepted = ["before"]

    def refused() -> bool:
        try:
            out.write("meanwhile")
        except otto.UsageError:
            return True
        accepted.append("meanwhile")
        return False

    eventually(refused)
    os.set_blocking(reading, True)
    with open(reading) as rows:
        assert rows.read().split() == accepted
    closer.join()


def test_many_threads_share_what_is_read(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    lists: list[list[int]] = [[] for _ in range(4)]
    readers = [in_thread(lambda mine=mine: mine.extend(rows)) for mine in lists]
    with otto.output_pipe("rows") as out:
        for number in range(5000):
            out.write(number)
    for reader in readers:
        reader.join()
    assert sorted(number for mine in lists for number in mine) == list(range(5000))
    assert all(mine == sorted(mine) for mine in lists)


def test_a_forked_child_does_not_send_its_parents_records(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    seen: list[Any] = []
    reader = in_thread(lambda: seen.extend(rows))
    out = otto.output_pipe("rows")
    out.write("once")
    child = os.fork()
    if child == 0:
        try:
            out.write("from the child")
            os._exit(1)
        except otto.UsageError:
            del out
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    out.close()
    reader.join(10)
    assert seen == ["once"]


def test_a_forked_child_does_not_read_its_parents_records(server: otto.Server) -> None:
    rows, untouched = otto.input_pipe("rows"), otto.input_pipe("others")
    out = os.open(os.path.join(server.run_dir or "", "rows.fifo"), os.O_RDWR)
    others = os.open(os.path.join(server.run_dir or "", "others.fifo"), os.O_RDWR)
    os.write(out, b"1\n2\n")
    os.write(others, b"3\n")
    assert rows.read() == 1
    # A thread of the parent's waits in it at the moment of the fork.
    assert rows.read() == 2
    waiting = in_thread(rows.read)
    child = os.fork()
    if child == 0:
        try:
            rows.read()
            os._exit(1)
        except otto.UsageError:
            rows.close()
            del rows
            os._exit(0 if untouched.read() == 3 else 2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    os.write(out, b"4\n5\n")
    waiting.join(10)
    assert rows.read() == 5
    os.close(out)
    os.close(others)


def test_closing_ends_what_another_thread_reads(server: otto.Server) -> None:
    rows = otto.input_pipe("rows")
    out = os.open(os.path.join(server.run_dir or "", "rows.fifo"), os.O_RDWR)
    seen: list[Any] = []
    readers = [in_thread(lambda: seen.append(rows.read())) for _ in range(3)]
    os.write(out, b"1\n")
    eventually(lambda: seen)
    rows.close()
    for reader in readers:
        reader.join(10)
    assert seen.count(1) == 1
    assert seen.count(None) == 2
    os.close(out)
