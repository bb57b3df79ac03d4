"""A producer that failed is no clean end. The notes that otto-run makes are made by the tests."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import otto
import pytest
from conftest import python

Lay = Callable[[bytes, str | None], Path]


@pytest.fixture
def lay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lay]:
    """Lays a task's input as otto-run does: what it holds, and who failed."""
    path = tmp_path / "report.input.pipe"
    monkeypatch.setenv("OTTO_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("OTTO_INPUT_PIPE", str(path))
    read, write = os.pipe()
    path.symlink_to(f"/proc/{os.getpid()}/fd/{read}")

    def fill(data: bytes, failed: str | None) -> Path:
        os.write(write, data)
        os.close(write)
        if failed is not None:
            path.with_name(path.name + ".failed").write_text(failed)
        return path

    yield fill
    os.close(read)


def read(rows: Any) -> tuple[list[Any], str | None]:
    seen = []
    try:
        for row in rows:
            seen.append(row)
    except otto.ProducerEnded as error:
        return seen, str(error)
    return seen, None


def read_in_a_loop(rows: Any) -> tuple[list[Any], str | None]:
    seen = []

    async def consume() -> None:
        async for row in rows:
            seen.append(row)

    try:
        asyncio.run(consume())
    except otto.ProducerEnded as error:
        return seen, str(error)
    return seen, None


@pytest.fixture(params=[read, read_in_a_loop])
def collect(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_records_first_then_who_failed(lay: Lay, collect: Any) -> None:
    path = lay(b"1\n2\n", "fetch\n")
    rows = otto.input_pipe()
    told = "the producer fetch failed: its stream broke off"
    assert collect(rows) == ([1, 2], told)
    # Nor does asking again make it an end.
    assert read(rows) == read_in_a_loop(rows) == ([], told)
    with pytest.raises(otto.ProducerEnded):
        rows.read()
    assert path.with_name(path.name + ".checked").exists()


def test_a_line_the_producer_did_not_complete_is_no_record(lay: Lay, collect: Any) -> None:
    lay(b'{"a": 1}\n{"a": 12', "fetch\n")
    assert collect(otto.input_pipe(mode="text"))[0] == ['{"a": 1}']


def test_raw_bytes_all_come_through(lay: Lay, collect: Any) -> None:
    lay(b"a\nb\0", "fetch\n")
    seen, told = collect(otto.input_pipe(mode="raw"))
    assert b"".join(seen) == b"a\nb\0"
    assert told


def test_a_clean_end_is_one(lay: Lay, collect: Any) -> None:
    lay(b"1\n2", None)
    assert collect(otto.input_pipe()) == ([1, 2], None)


def test_a_note_without_a_name(lay: Lay, collect: Any) -> None:
    lay(b"", "")
    assert collect(otto.input_pipe()) == ([], "a producer of this stream failed: it broke off")


def test_it_is_noted_that_the_reader_asks_before_it_reads(lay: Lay, tmp_path: Path) -> None:
    lay(b"1\n", None)
    rows = otto.input_pipe()
    # The producer may fail before the first read.
    assert (tmp_path / "report.input.pipe.checked").exists()
    assert rows.read() == 1


def test_notes_are_left_in_the_runs_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "run").mkdir()
    monkeypatch.setenv("OTTO_INPUT_PIPE", str(fifo))
    for run_dir in [None, str(tmp_path / "run")]:
        if run_dir:
            monkeypatch.setenv("OTTO_RUN_DIR", run_dir)
        rows = otto.input_pipe(timeout=10)
        writer = os.open(fifo, os.O_RDWR)
        os.write(writer, b"1\n")
        assert rows.read() == 1
        rows.close()
        os.close(writer)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "run"]


def test_a_script_that_does_not_catch_it_fails_with_one_line(lay: Lay) -> None:
    lay(b"1\n", "fetch\n")
    code = "import otto\ntry:\n for row in otto.input_pipe(): print(row)\n"
    code += "except otto.ProducerEnded as error: print(error)"
    assert python(code).splitlines() == ["1", "the producer fetch failed: its stream broke off"]
