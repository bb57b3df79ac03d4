"""Two gibibytes, whose byte counts no longer fit into 31 bits."""

import os
import tempfile
from collections.abc import Iterator

import otto
import pytest
from conftest import lies_in

numpy = pytest.importorskip("numpy")

SIZE = 2 << 30
MARKS = 0, 1, 4095, 4096, SIZE // 2, SIZE - 4097, SIZE - 1


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    """Twice the size in shared memory, else the test would measure the machine."""
    shared = os.statvfs("/dev/shm")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    if min(shared.f_bavail * shared.f_frsize, memory) < 2 * SIZE:
        pytest.skip("less than 4 GiB are free")
    yield
    assert not [name for name in os.listdir("/dev/shm") if name.endswith(".ds-large")]


def marked() -> numpy.ndarray:
    """SIZE bytes, of which a few at each end and around 31 bits are not zero."""
    array = numpy.zeros(SIZE, "u1")
    for at in MARKS:
        array[at] = at % 251 + 1
    return array


def same(one: numpy.ndarray, other: numpy.ndarray) -> bool:
    """Compared in pieces: the result for all of it would be as large."""
    one, other = one.reshape(-1).view("u8"), other.reshape(-1).view("u8")
    step = 16 << 20
    pieces = range(0, one.size, step)
    return one.size == other.size and all(
        numpy.array_equal(one[at : at + step], other[at : at + step]) for at in pieces
    )


def test_bytes(server: otto.Server) -> None:
    given = marked()
    otto.put_dataset("large", memoryview(given))
    view = otto.get_dataset("large")
    assert (view.nbytes, view.format) == (SIZE, "B")
    assert same(numpy.asarray(view), given)


def test_an_array(server: otto.Server) -> None:
    given = marked().view("f8").reshape(2, -1)
    otto.put_dataset("large", given)
    dataset = otto.open_dataset("large")
    assert (dataset.size, dataset.shape) == (SIZE, given.shape)
    assert same(dataset.numpy(), given)
    assert lies_in(dataset.numpy()[1, -1:].ctypes.data, "large")


def test_a_file(server: otto.Server) -> None:
    given = marked()
    # Of which only the marks take room.
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        for at in MARKS:
            file.seek(at)
            file.write(bytes(given[at : at + 1]))
        file.seek(0)
        otto.put_dataset("large", file)
    assert same(otto.open_dataset("large").numpy(), given)


def test_a_table(server: otto.Server) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    given = pyarrow.table({"a": marked().view("i8")})
    otto.put_dataset("large", given)
    found = otto.open_dataset("large").arrow()
    assert found.nbytes == SIZE
    column = found["a"].chunk(0).to_numpy(zero_copy_only=True)
    assert same(column, given["a"].chunk(0).to_numpy())
    assert lies_in(column[-1:].ctypes.data, "large")


def test_filled_in_place(server: otto.Server) -> None:
    with otto.create_dataset("large", "u1", SIZE + 1) as array:
        array[-1] = 7
    found = otto.open_dataset("large")
    assert (found.size, found.numpy()[-1], found.numpy()[::4096].sum()) == (SIZE + 1, 7, 7)
