"""Documents, datasets and memory shared by fork."""

import array
import json
import mmap
import multiprocessing
import os
import threading
from typing import Any

import otto
import pytest
from conftest import python

numpy = pytest.importorskip("numpy")


def test_a_document(server: otto.Server) -> None:
    with pytest.raises(otto.NotFound):
        otto.TaskDataRegion.open("build")
    region = otto.TaskDataRegion.create("build", 4096)
    assert region.read_json() is None
    assert region.read() == b""
    assert (region.task, region.path) == ("build", f"/dev/shm/otto-{server.run_id}-build")
    value = {"a": [1, "é", None], "big": 2**70}
    region.write_json(value)
    assert otto.TaskDataRegion.open("build").read_json() == value
    assert otto.get("build.big", via="mmap") == 2**70
    region.write(b'{"b":1.10}')
    assert region.read() == b'{"b":1.10}'
    region.update({"c": [2], "b": 2})
    assert region.read_json() == {"b": 2, "c": [2]}
    region.write_json("x" * 100_000)
    assert len(region.read_json()) == 100_000, "it grows"
    with pytest.raises(otto.UsageError):
        region.write(b"{nonsense")
    with pytest.raises(otto.UsageError):
        region.update({1: 2})  # type: ignore[dict-item]
    with pytest.raises(otto.UsageError):
        otto.TaskDataRegion.create("a.b")


def test_three_lines_of_python_read_and_write_it(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("task_a")
    region.write_json({"key": "value"})
    with open(region.path, "r+b") as file:
        mm = mmap.mmap(file.fileno(), 0)
        length = int.from_bytes(mm[0:4], "little")
        assert json.loads(mm[4 : 4 + length]) == {"key": "value"}
        json_data = json.dumps({"other": 1}).encode()
        mm[0:4] = len(json_data).to_bytes(4, "little")
        mm[4 : 4 + len(json_data)] = json_data
        mm.flush()
    assert region.read_json() == {"other": 1}


def test_no_update_is_lost(server: otto.Server) -> None:
    code = (
        "import otto, sys\n"
        "region = otto.TaskDataRegion.create('shared')\n"
        "for step in range(100):\n"
        "    region.update({f'{sys.argv[1]}.{step}': step})\n"
        "    otto.incr('shared.sum', via='mmap')\n"
    )
    writers = [
        threading.Thread(target=lambda n=n: python(f"import sys; sys.argv.append('{n}')\n{code}"))
        for n in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = otto.TaskDataRegion.open("shared").read_json()
    assert found.pop("sum") == 400
    assert len(found) == 400


def test_a_document_after_a_fork(server: otto.Server) -> None:
    region = otto.TaskDataRegion.create("forked")
    region.write_json({})

    def work(number: int) -> None:
        for step in range(100):
            region.update({f"{number}.{step}": step})

    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=work, args=(number,)) for number in range(3)]
    for child in children:
        child.start()
    work(3)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len(region.read_json()) == 400


@pytest.mark.parametrize(
    "data",
    [b"", b"abc", bytearray(b"\x00\xff"), memoryview(b"view"), array.array("d", [1.5, -2.5])],
    ids=["empty", "bytes", "bytearray", "memoryview", "array"],
)
def test_a_dataset(server: otto.Server, data: Any) -> None:
    otto.put_dataset("d", data)
    view = otto.get_dataset("d")
    assert view.readonly
    assert view.tobytes() == memoryview(data).tobytes()
    assert view.format == (memoryview(data).format if len(data) else "B")
    with pytest.raises(TypeError):
        view[:] = data


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "f4", "f8", "?"])
@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 2)])
def test_an_array_keeps_its_type_and_shape(server: otto.Server, dtype: str, shape: Any) -> None:
    given = numpy.arange(12).astype(dtype).reshape(shape)
    otto.put_dataset("a", given)
    found = numpy.asarray(otto.get_dataset("a"))
    assert (found.dtype, found.shape) == (given.dtype, given.shape)
    assert (found == given).all()
    assert not found.flags.writeable
    assert not found.flags.owndata


def test_arrays_in_other_orders(server: otto.Server) -> None:
    given = numpy.arange(24.0).reshape(4, 6)
    for scattered in [given[:, ::2], given.T, numpy.asfortranarray(given), given[::-1]]:
        otto.put_dataset("a", scattered)
        assert (numpy.asarray(otto.get_dataset("a")) == scattered).all()
    otto.put_dataset("a", numpy.array(3.5))
    assert otto.get_dataset("a").tolist() == 3.5
    otto.put_dataset("a", numpy.zeros((0, 3)))
    assert otto.get_dataset("a").nbytes == 0


def test_a_view_outlives_its_name_and_its_run() -> None:
    with otto.serve():
        otto.put_dataset("d", b"first")
        first = otto.get_dataset("d")
        otto.put_dataset("d", b"second")
        assert (bytes(first), bytes(otto.get_dataset("d"))) == (b"first", b"second")
    assert bytes(first) == b"first"
    with otto.serve(), pytest.raises(otto.NotFound, match="dataset"):
        otto.get_dataset("d")


def test_another_process_reads_a_dataset(server: otto.Server) -> None:
    otto.put_dataset("big", numpy.arange(1_000_000))
    assert python("import otto; print(sum(otto.get_dataset('big')))") == "499999500000\n"


def test_what_is_no_dataset(server: otto.Server) -> None:
    for data in ["text", 5, None, [1]]:
        with pytest.raises(TypeError):
            otto.put_dataset("d", data)  # type: ignore[arg-type]
    with pytest.raises(otto.UsageError):
        otto.put_dataset("../d", b"")


def test_memory_is_shared_with_forked_children() -> None:
    memory = otto.SharedMemory(4096)
    cells = numpy.asarray(memory).view("i8")

    def work(number: int) -> None:
        cells[number] = number * number
        memory[100:103] = b"abc"

    fork = multiprocessing.get_context("fork")
    for number in range(5):
        child = fork.Process(target=work, args=(number,))
        child.start()
        child.join()
        assert child.exitcode == 0
    assert list(cells[:6]) == [0, 1, 4, 9, 16, 0]
    assert memory[100:104] == b"abc\0"


def test_indexing_shared_memory() -> None:
    memory = otto.SharedMemory(10)
    assert (len(memory), bytes(memory)) == (10, bytes(10))
    memory[9] = 255
    assert memory[-1] == 255
    view = memory.buf
    view[0] = 7
    assert not view.readonly
    del memory
    assert (view[0], view.nbytes) == (7, 10), "a view keeps the memory"
    for size in [0, -1, 2**62]:
        with pytest.raises((otto.UsageError, OverflowError, OSError)):
            otto.SharedMemory(size)
    with pytest.raises(IndexError):
        otto.SharedMemory(10)[10]
    with pytest.raises(ValueError, match="different structures"):
        otto.SharedMemory(10)[0:2] = b"abc"


def test_full_memory_is_an_error_and_the_old_dataset_stays(server: otto.Server) -> None:
    otto.put_dataset("d", b"old")
    whole = os.statvfs("/dev/shm")
    size = whole.f_blocks * whole.f_frsize + (1 << 20)
    # Address space alone: its memory is never touched, since there is no room for a copy.
    no_reserve = getattr(mmap, "MAP_NORESERVE", 0x4000)
    nothing = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | no_reserve)
    with pytest.raises(otto.SystemRefused, match="free") as caught:
        otto.put_dataset("d", nothing)
    assert caught.value.errno is not None
    assert bytes(otto.get_dataset("d")) == b"old"
