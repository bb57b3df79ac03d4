"""Files as datasets: what is read from them is what comes back."""

import gzip
import io
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
from typing import Any

import otto
import pytest
from conftest import python

PAGE = os.sysconf("SC_PAGE_SIZE")


def published() -> bytes:
    dataset = otto.open_dataset("d")
    assert dataset.about is None
    return bytes(dataset)


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3_000_000])
def test_a_path_and_open_files(server: otto.Server, tmp_path: pathlib.Path, size: int) -> None:
    path, data = tmp_path / "data", os.urandom(size)
    path.write_bytes(data)
    otto.put_dataset("d", path)
    assert published() == data
    for mode, buffering in [("rb", -1), ("rb", 0), ("r+b", -1), ("r+b", 0)]:
        with open(path, mode, buffering=buffering) as file:
            otto.put_dataset("d", file)
            assert published() == data
            assert (file.read(), file.tell()) == (b"", size), "it is at its end"


def test_what_is_left_of_a_file(server: otto.Server, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"first\nsecond\nthird\n")
    for buffering in -1, 0:
        with open(path, "rb", buffering=buffering) as file:
            file.readline()
            otto.put_dataset("d", file)
            assert published() == b"second\nthird\n"
    with open(path, "r+b") as file:
        file.write(b"FIRST")
        file.seek(2)
        otto.put_dataset("d", file)
        assert published() == b"RST\nsecond\nthird\n"
        otto.put_dataset("d", file)
        assert published() == b""
        file.seek(100)
        otto.put_dataset("d", file)
        assert published() == b""


def test_files_without_a_name(server: otto.Server) -> None:
    for make in [
        tempfile.TemporaryFile,
        tempfile.NamedTemporaryFile,
        tempfile.SpooledTemporaryFile,
    ]:
        with make() as file:
            file.write(b"some bytes")
            file.seek(5)
            otto.put_dataset("d", file)
            assert published() == b"bytes"
    file = io.BytesIO(b"some bytes")
    file.seek(5)
    otto.put_dataset("d", file)
    assert published() == b"bytes"


def test_a_compressed_file_is_what_reading_it_gives(server: otto.Server, tmp_path: Any) -> None:
    with gzip.open(tmp_path / "data.gz", "wb") as file:
        file.write(b"some bytes" * 1000)
    with gzip.open(tmp_path / "data.gz") as file:
        otto.put_dataset("d", file)
    assert published() == b"some bytes" * 1000


def test_files_of_the_system(server: otto.Server) -> None:
    otto.put_dataset("d", pathlib.Path("/proc/version"))
    assert published() == pathlib.Path("/proc/version").read_bytes()
    with open("/proc/version", "rb") as file:
        otto.put_dataset("d", file)
        assert published() == pathlib.Path("/proc/version").read_bytes()
    otto.put_dataset("d", pathlib.Path("/dev/null"))
    assert published() == b""


@pytest.mark.parametrize("buffering", [-1, 0])
@pytest.mark.parametrize("taken", [0, 5])
def test_pipes(server: otto.Server, buffering: int, taken: int) -> None:
    read, write = os.pipe()
    data = os.urandom(300_000)

    def produce() -> None:
        with open(write, "wb", buffering=0) as out:
            for start in range(0, len(data), 1000):
                out.write(data[start : start + 1000])

    producer = threading.Thread(target=produce)
    producer.start()
    with open(read, "rb", buffering=buffering) as file:
        head = file.read(taken)
        otto.put_dataset("d", file)
    producer.join()
    assert head + published() == data


def test_a_pipe_whose_writer_is_gone(server: otto.Server) -> None:
    for left in b"", b"left":
        read, write = os.pipe()
        os.write(write, left)
        os.close(write)
        with open(read, "rb") as file:
            otto.put_dataset("d", file)
        assert published() == left


def test_a_fifo_by_its_path(server: otto.Server, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    writer = threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(b"through a fifo",))
    writer.start()
    otto.put_dataset("d", tmp_path / "fifo")
    writer.join()
    assert published() == b"through a fifo"


def test_standard_input(server: otto.Server) -> None:
    code = (
        "import otto, sys\n"
        "print(sys.stdin.buffer.readline())\n"
        "otto.put_dataset('d', sys.stdin.buffer)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], input=b"a,b\n1,2\n", capture_output=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"b'a,b\\n'\n", b"")
    assert published() == b"1,2\n"


def test_a_socket(server: otto.Server) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, ours.makefile("rb") as file:
        theirs.sendall(b"over a socket")
        theirs.shutdown(socket.SHUT_WR)
        otto.put_dataset("d", file)
    assert published() == b"over a socket"


def test_what_can_not_be_published(server: otto.Server, tmp_path: pathlib.Path) -> None:
    otto.put_dataset("d", b"old")
    path = tmp_path / "data"
    path.write_text("text")
    with open(path) as text, pytest.raises(TypeError, match="gives str"):
        otto.put_dataset("d", text)  # type: ignore[arg-type]
    with open(tmp_path / "new", "wb") as file, pytest.raises(io.UnsupportedOperation):
        otto.put_dataset("d", file)
    with pytest.raises(FileNotFoundError):
        otto.put_dataset("d", tmp_path / "missing")
    with pytest.raises(IsADirectoryError):
        otto.put_dataset("d", tmp_path)
    with open(path, "rb") as file:
        pass
    with pytest.raises(ValueError, match="closed"):
        otto.put_dataset("d", file)
    assert bytes(otto.get_dataset("d")) == b"old"


def test_a_file_is_not_read_into_memory(server: otto.Server, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data"
    with open(path, "wb") as file:
        file.truncate(256 << 20)
    code = (
        "import otto, pathlib, resource, sys\n"
        "otto.put_dataset('warm', pathlib.Path('/proc/version'))\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "otto.put_dataset('d', pathlib.Path(sys.argv[1]))\n"
        "with open(sys.argv[1], 'rb') as file: otto.put_dataset('d', file)\n"
        "print(peak() - before)\n"
    )
    assert int(python(f"import sys; sys.argv.append({str(path)!r})\n{code}")) < 16 << 10
    assert otto.open_dataset("d").size == 256 << 20
