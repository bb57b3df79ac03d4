"""Datasets filled where they will lie."""

import contextlib
import gc
import multiprocessing
import os
from typing import Any

import otto
import pytest
from conftest import lies_in, mapped

numpy = pytest.importorskip("numpy")


def test_an_array_filled_in_place(server: otto.Server) -> None:
    with otto.create_dataset("a", "f8", (3, 4)) as array:
        assert (array.dtype, array.shape, array.sum()) == (numpy.float64, (3, 4), 0)
        assert array.flags.writeable
        assert otto.list_datasets() == []
        array[:] = numpy.arange(12).reshape(3, 4)
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1
    dataset = otto.open_dataset("a")
    assert (dataset.numpy() == array).all()
    assert lies_in(dataset.numpy().ctypes.data, "a")
    assert numpy.load(dataset.path, mmap_mode="r")[2, 3] == 11


def in_shared_memory() -> set[str]:
    with open("/proc/self/maps") as maps:
        return {line for line in maps if "/dev/shm" in line}


@pytest.mark.parametrize("fails", [False, True])
def test_who_filled_it_keeps_no_memory(server: otto.Server, fails: bool) -> None:
    before = in_shared_memory()
    writer = otto.create_dataset("a", "f8", 100_000)
    with contextlib.suppress(ZeroDivisionError), writer as array:
        array[:] = 1 / (0 if fails else 1)
    del array
    gc.collect()
    assert in_shared_memory() <= before


@pytest.mark.parametrize(
    "dtype",
    [
        *[
            "f8",
            "<i4",
            ">u2",
            "?",
            "bool",
            "int",
            "float32",
            "complex128",
            "S5",
            "U3",
            "uint8",
            "g",
        ],
        *["M8[s]", "V7", float, numpy.int16, numpy.dtype(">f4"), [("a", "i4"), ("b", "M8[D]")]],
        *["d", "l", "b", "c", "longdouble", ">i8", "|u1", "=f4", "i", "float16", "timedelta64[ms]"],
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), 5, (0,), [2, 3], numpy.int64(4)], ids=str)
def test_any_type_and_shape(server: otto.Server, dtype: Any, shape: Any) -> None:
    wanted = numpy.zeros(shape, dtype)
    with otto.create_dataset("a", dtype, shape) as array:
        assert (array.dtype, array.shape) == (wanted.dtype, wanted.shape)
        array[...] = wanted
    found = otto.open_dataset("a").numpy()
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    assert found.tobytes() == wanted.tobytes()


def test_what_is_no_type_or_no_shape(server: otto.Server) -> None:
    for dtype in [
        "nonsense",
        "f7",
        object,
        [("a", object)],
        ("i4", (2,)),
        "V0",
        "S",
        "i99999999999",
    ]:
        with pytest.raises(otto.UsageError, match="dtype") as caught:
            otto.create_dataset("a", dtype, 1)
        assert "\n" not in str(caught.value)
    for shape in [-1, (2, -1), 2.5, "3", None, [[1]], (2**62, 2**62), 2**63, (1,) * 65]:
        with pytest.raises(otto.UsageError, match="shape"):
            otto.create_dataset("a", "f8", shape)
    with pytest.raises(otto.UsageError):
        otto.create_dataset("a.b", "f8", 1)
    assert otto.list_datasets() == []


def test_an_exception_publishes_nothing(server: otto.Server) -> None:
    otto.put_dataset("a", b"old")
    with pytest.raises(ZeroDivisionError), otto.create_dataset("a", "u1", 4) as array:
        array[:] = 1 // 0
    assert bytes(otto.get_dataset("a")) == b"old"
    array[:] = 1
    assert array.sum() == 4, "what was filled so far is there, for this process alone"
    del array
    otto.create_dataset("a", "u1", 4)
    gc.collect()
    assert mapped("a") == []


def test_a_late_write_changes_nothing(server: otto.Server) -> None:
    with otto.create_dataset("a", "i8", 100_000) as array:
        array[:] = 7
        older = array[:]
        raw = memoryview(array)
    dataset = otto.open_dataset("a")
    older[:] = 8
    raw[0] = 9
    assert (older[1], raw[0]) == (8, 9)
    assert (dataset.numpy() == 7).all()
    assert (otto.open_dataset("a").numpy() == 7).all()
    otto.remove_dataset("a")
    older[5] = 10
    assert (older[5], dataset.numpy()[5]) == (10, 7)


def test_a_writer_is_for_one_block(server: otto.Server) -> None:
    writer = otto.create_dataset("a", "f8", 1)
    with writer as array:
        array[0] = 1
        with pytest.raises(otto.UsageError, match="again"):
            writer.__enter__()
    with pytest.raises(otto.UsageError, match="again"), writer:
        pass
    writer.__exit__(None, None, None)
    assert otto.open_dataset("a").generation == 1


def test_forked_workers_fill_it(server: otto.Server) -> None:
    fork = multiprocessing.get_context("fork")
    with otto.create_dataset("a", "i8", (4, 1000)) as array:

        def fill(row: int) -> None:
            array[row] = row

        workers = [fork.Process(target=fill, args=(row,)) for row in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
    assert otto.open_dataset("a").numpy().sum(axis=1).tolist() == [0, 1000, 2000, 3000]


def test_a_forked_child_that_leaves_the_block_publishes_nothing(server: otto.Server) -> None:
    writer = otto.create_dataset("a", "u1", 1)
    array = writer.__enter__()
    child = os.fork()
    if child == 0:
        writer.__exit__(None, None, None)
        os._exit(0)
    os.waitpid(child, 0)
    assert otto.list_datasets() == []
    array[0] = 5
    writer.__exit__(None, None, None)
    assert bytes(otto.get_dataset("a")) == b"\5"
