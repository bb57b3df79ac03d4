"""Memory that forked children share."""

import copy
import multiprocessing
import os
import pickle
from typing import Any

import otto
import pytest
from conftest import python

numpy = pytest.importorskip("numpy")


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
    with pytest.raises(IndexError):
        otto.SharedMemory(10)[10]
    with pytest.raises(ValueError, match="different structures"):
        otto.SharedMemory(10)[0:2] = b"abc"


@pytest.mark.parametrize(
    ("size", "error"),
    [
        *[(size, otto.UsageError) for size in [0, -1, -(2**70), 2**64, 2**200]],
        *[(size, otto.SystemRefused) for size in [2**62, 2**63 - 1, 2**63, 2**64 - 1]],
        *[(size, TypeError) for size in [1.5, "5", None, b"5"]],
    ],
    ids=repr,
)
def test_sizes_that_can_not_be(size: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        otto.SharedMemory(size)
    assert "\n" not in str(caught.value)
    assert error is TypeError or str(size) in str(caught.value)


def test_a_size_is_any_whole_number() -> None:
    assert len(otto.SharedMemory(numpy.int32(5))) == len(otto.SharedMemory(size=5)) == 5


def test_it_is_handed_to_forked_workers_as_it_is() -> None:
    memory = otto.SharedMemory(8 * 8)

    def square(memory: otto.SharedMemory, number: int) -> None:
        memory.buf.cast("q")[number] = number**2

    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=square, args=(memory, number)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert memory.buf.cast("q").tolist() == [number**2 for number in range(8)]


def test_a_grandchild_sees_it_after_its_parents_are_gone() -> None:
    memory = otto.SharedMemory(1)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        if os.fork() == 0:
            os.read(read, 1)
            memory[0] = 42
        os._exit(0)
    os.waitpid(child, 0)
    os.write(write, b"x")
    while memory[0] != 42:
        pass
    os.close(read)
    os.close(write)


@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_it_is_not_pickled(copied) -> None:
    with pytest.raises(TypeError, match=r"can't be pickled: children have to inherit it"):
        copied(otto.SharedMemory(4))


def test_a_spawned_child_is_refused_with_a_line(tmp_path) -> None:
    script = tmp_path / "spawn.py"
    script.write_text(
        "import multiprocessing, otto\n"
        "if __name__ == '__main__':\n"
        "    memory = otto.SharedMemory(8)\n"
        "    spawn = multiprocessing.get_context('spawn')\n"
        "    try:\n"
        "        spawn.Process(target=print, args=(memory,)).start()\n"
        "    except TypeError as error:\n"
        "        print(error)\n"
    )
    printed = python(f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')")
    assert printed.startswith("shared memory has no name")
    assert len(printed.splitlines()) == 1


def test_views_and_arrays_keep_it() -> None:
    memory = otto.SharedMemory(1 << 20)
    cells = numpy.frombuffer(memory, "u2")
    other = memoryview(memory).cast("H")
    del memory
    cells[:] = 7
    assert other[len(other) - 1] == 7
    assert cells.flags.writeable
