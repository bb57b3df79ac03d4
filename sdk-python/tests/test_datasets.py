"""Datasets of bytes: what goes in comes out, and stays."""

import array
import ctypes
import json
import mmap
import os
import zlib
from typing import Any

import otto
import pytest
from conftest import lies_in, python

PAGE = mmap.PAGESIZE


def address(dataset: otto.Dataset) -> int:
    """Of its first byte."""
    numpy = pytest.importorskip("numpy")
    return int(numpy.frombuffer(dataset, "u1").ctypes.data)


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
    assert view.format == memoryview(data).format
    with pytest.raises(TypeError):
        view[:] = data


@pytest.mark.parametrize("size", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_every_size_comes_back(server: otto.Server, size: int) -> None:
    data = os.urandom(size)
    otto.put_dataset("d", data)
    dataset = otto.open_dataset("d")
    assert (dataset.size, dataset.shape, dataset.format) == (size, (size,), "B")
    assert bytes(dataset) == bytes(otto.get_dataset("d")) == data
    with open(dataset.path, "rb") as file:
        assert file.read() == data, "any program reads it by its path"
    assert not size or lies_in(address(dataset), "d")


def test_what_is_known_about_one(server: otto.Server) -> None:
    otto.put_dataset("d", b"abc")
    otto.put_dataset("d", b"four")
    dataset = otto.open_dataset("d")
    assert (dataset.name, dataset.size, dataset.generation) == ("d", 4, 2)
    assert (dataset.about, dataset.on_disk) == (None, False)
    assert dataset.path == f"/dev/shm/otto-{server.run_id}.ds-d"
    assert repr(dataset) == "<otto.Dataset 'd', 4 bytes, generation 2>"


def test_listing_and_removing(server: otto.Server) -> None:
    assert otto.list_datasets() == []
    for name in ["b", "a:1", "c"]:
        otto.put_dataset(name, name.encode())
    otto.TaskDataRegion.create("document")
    assert otto.list_datasets() == ["a:1", "b", "c"]
    view = otto.get_dataset("b")
    otto.remove_dataset("b")
    assert (otto.list_datasets(), bytes(view)) == (["a:1", "c"], b"b")
    for call in [otto.remove_dataset, otto.get_dataset, otto.open_dataset]:
        with pytest.raises(otto.NotFound, match="dataset b"):
            call("b")
    otto.put_dataset("b", b"again")
    assert otto.open_dataset("b").generation == 1


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
    otto.put_dataset("big", array.array("q", range(1_000_000)))
    assert python("import otto; print(sum(otto.get_dataset('big')))") == "499999500000\n"


def test_what_is_no_dataset(server: otto.Server) -> None:
    for data in ["text", 5, None, [1]]:
        with pytest.raises(TypeError, match="bytes, an array or a table") as caught:
            otto.put_dataset("d", data)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    for name in ["../d", "a.b", ""]:
        with pytest.raises(otto.UsageError):
            otto.put_dataset(name, b"")
    pointers = (ctypes.c_void_p * 2)(1, 2)
    with pytest.raises(otto.UsageError, match="addresses"):
        otto.put_dataset("d", pointers)
    assert otto.list_datasets() == []


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_arrays_of_the_standard_library_are_npy_files(server: otto.Server, code: str) -> None:
    given = array.array(code, range(100))
    otto.put_dataset("d", given)
    view = otto.get_dataset("d")
    assert (view.format, view.tolist()) == (code, given.tolist())
    if code != "B":
        numpy = pytest.importorskip("numpy")
        loaded = numpy.load(otto.open_dataset("d").path, mmap_mode="r")
        assert (loaded.tolist(), loaded.dtype) == (given.tolist(), numpy.asarray(given).dtype)


def test_memoryviews_keep_format_and_shape(server: otto.Server) -> None:
    plain = memoryview(bytes(range(48)))
    for format, shape in [
        ("d", (6,)),
        ("H", (2, 3, 4)),
        ("?", (48,)),
        ("c", (6, 8)),
        ("B", (4, 12)),
    ]:
        given = plain.cast("B").cast(format, shape)
        otto.put_dataset("d", given)
        view = otto.get_dataset("d")
        assert (view.format, view.shape, view.strides) == (format, shape, given.strides)
        assert view.tolist() == given.tolist()
    otto.put_dataset("d", plain[::-3])
    assert bytes(otto.get_dataset("d")) == bytes(plain[::-3])


def test_structures_that_numpy_has_no_word_for_keep_theirs(server: otto.Server) -> None:
    class Point(ctypes.Structure):
        _fields_ = (("x", ctypes.c_double), ("n", ctypes.c_ushort, 5))

    otto.put_dataset("d", (Point * 3)(Point(1.5, 2)))
    dataset = otto.open_dataset("d")
    view = memoryview(dataset)
    assert (view.itemsize, view.shape) == (ctypes.sizeof(Point), (3,))
    assert view.format == memoryview((Point * 3)()).format
    assert Point.from_buffer_copy(dataset).n == 2
    assert set(dataset.about) == {"format", "itemsize", "shape"}


def test_a_dataset_is_published_again_under_another_name(server: otto.Server) -> None:
    for data in [b"abc", array.array("d", [1, 2])]:
        otto.put_dataset("a", data)
        otto.put_dataset("b", otto.open_dataset("a"))
        a, b = otto.open_dataset("a"), otto.open_dataset("b")
        assert (a.about, a.shape, bytes(a)) == (b.about, b.shape, bytes(b))


def rewrite_label(run: int, name: str, about: Any) -> None:
    """As another program may: whole, but with `about` in it."""
    prefix = f".otto-{run}.ds-{name}."
    path = next(entry.path for entry in os.scandir("/dev/shm") if entry.name.startswith(prefix))
    with open(path, "r+b") as file:
        old = file.read()
        numbers = old[-48:-16]
        json_text = json.dumps(about).encode()
        new = json_text + numbers + len(json_text).to_bytes(4, "little")
        new += zlib.crc32(new).to_bytes(4, "little") + b"OTTODS02"
        assert old[-8:] == new[-8:]
        file.seek(0)
        file.write(new)
        file.truncate()


LIES = [
    {"format": "d", "itemsize": 1, "shape": [16]},
    {"format": "d", "itemsize": 8, "shape": [3]},
    {"format": "d", "itemsize": 8, "shape": [-2]},
    {"format": "d", "itemsize": 8, "shape": [2] + [1] * 64},
    {"format": "d", "itemsize": 8, "shape": [2**62, 4]},
    {"format": "d", "itemsize": 8, "shape": "2"},
    {"format": "d\0", "itemsize": 8, "shape": [2]},
    {"format": "O", "itemsize": 8, "shape": [2]},
    {"format": "T{O:a:}", "itemsize": 8, "shape": [2]},
    {"format": "", "itemsize": 8, "shape": [2]},
    {"format": "B", "itemsize": 0, "shape": [16]},
    {"format": "d", "shape": [2]},
    ["d", 8, [2]],
    "d",
]


@pytest.mark.parametrize("about", LIES)
def test_a_label_that_can_not_be_true_makes_it_bytes(server: otto.Server, about: Any) -> None:
    otto.put_dataset("d", array.array("d", [1.0, 2.0]))
    rewrite_label(server.run_id, "d", about)
    view = otto.get_dataset("d")
    assert (view.format, view.shape, view.nbytes) == ("B", (16,), 16)
    assert otto.open_dataset("d").about == about


@pytest.mark.parametrize(
    "dtype", ["|O", "O", "nonsense", ["f8"], [["a", "f8", 1, 2]], {}, 5, "f4", "f16", [["a", "O"]]]
)
def test_a_type_that_can_not_be_true_is_an_error(server: otto.Server, dtype: Any) -> None:
    pytest.importorskip("numpy")
    otto.put_dataset("d", array.array("d", [1.0, 2.0]))
    about = {"format": "d", "itemsize": 8, "shape": [2], "dtype": dtype}
    rewrite_label(server.run_id, "d", about)
    with pytest.raises(otto.Corrupt, match="publish"):
        otto.open_dataset("d").numpy()


def test_what_other_programs_say_about_a_dataset(server: otto.Server) -> None:
    otto.put_dataset("d", array.array("d", [1.0, 2.0]))
    rewrite_label(server.run_id, "d", {"dtype": "<u2", "shape": [2, 4]})
    dataset = otto.open_dataset("d")
    assert (dataset.format, dataset.shape) == ("H", (2, 4))
    rewrite_label(server.run_id, "d", {"content_type": "text/csv"})
    dataset = otto.open_dataset("d")
    assert (dataset.format, dataset.shape) == ("B", (16,))
    pytest.importorskip("numpy")
    assert dataset.numpy().shape == (16,)
    pytest.importorskip("pyarrow")
    assert dataset.arrow().size == 16
    otto.put_dataset("e", dataset)
    assert bytes(otto.get_dataset("e")) == bytes(dataset)


def test_a_broken_package_is_not_a_missing_one(server: otto.Server, tmp_path: Any) -> None:
    code = """if True:
        import otto
        otto.put_dataset("a", b"")
        for name in "numpy", "arrow", "polars", "pandas":
            try:
                getattr(otto.open_dataset("a"), name)()
            except ImportError as error:
                print(type(error).__name__, error)
        """
    for name in "numpy", "pyarrow":
        (tmp_path / f"{name}.py").write_text("import missing_library")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    found = python(code, PYTHONPATH=path).splitlines()
    assert found == ["ModuleNotFoundError No module named 'missing_library'"] * 4


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
    with pytest.raises(otto.SystemRefused, match="free"):
        otto.create_dataset("d", "u1", size)
    assert bytes(otto.get_dataset("d")) == b"old"


def test_without_numpy_and_pyarrow(server: otto.Server) -> None:
    code = """if True:
        import sys
        for name in "numpy", "pyarrow", "polars", "pandas":
            sys.modules[name] = None
        import array, otto
        otto.put_dataset("a", array.array("d", [0.5, 1.5]))
        view = otto.get_dataset("a")
        print(view.tolist(), view.format, memoryview(otto.open_dataset("a"))[1])
        with otto.create_dataset("b", "f4", (2, 3)) as given:
            print(type(given).__name__, given.format, given.shape)
            given[1, 2] = 2.5
        print(otto.get_dataset("b").tolist())
        dataset = otto.open_dataset("b")
        for call in (
            dataset.numpy, dataset.arrow, dataset.polars, dataset.pandas,
            dataset.__arrow_c_stream__, lambda: dataset.dtype,
            lambda: otto.create_dataset("c", [("a", "i4")], 1),
        ):
            try:
                call()
            except ImportError as error:
                print(type(error).__name__, error)
        """
    assert python(code).splitlines() == [
        "[0.5, 1.5] d 1.5",
        "memoryview f (2, 3)",
        "[[0.0, 0.0, 0.0], [0.0, 0.0, 2.5]]",
        "MissingPackage numpy is not installed: pip install numpy",
        *["MissingPackage pyarrow is not installed: pip install pyarrow"] * 4,
        *["MissingPackage numpy is not installed: pip install numpy"] * 2,
    ]
    numpy = pytest.importorskip("numpy")
    assert numpy.load(otto.open_dataset("b").path)[1, 2] == 2.5
