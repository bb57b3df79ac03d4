"""Arrays of numpy through datasets, and the buffers that show them."""

import ctypes
import pickle
import warnings
from typing import Any

import otto
import pytest
from conftest import lies_in, python

numpy = pytest.importorskip("numpy")

DTYPES = [
    *[
        "?",
        "i1",
        "i2",
        "i4",
        "i8",
        "u1",
        "u2",
        "u4",
        "u8",
        "f2",
        "f4",
        "f8",
        "g",
        "c8",
        "c16",
        "c32",
    ],
    *[">i2", ">u8", ">f4", ">c16", ">U3", ">M8[s]"],
    *["S1", "S7", "U1", "U5", "V5"],
    *["M8[ns]", "M8[D]", "m8[us]", "M8[25s]", "M8"],
    [("a", "i4"), ("b", "f8")],
    [("when", "M8[s]"), ("grid", "i2", (2, 3)), ("name", "U4")],
    [("inner", [("x", ">u2"), ("é", "S3")]), ("steps", "m8[D]", (2,))],
    [(("a title", "n"), "i4")],
    numpy.dtype([("a", "i1"), ("b", "f8")], align=True),
    numpy.dtype({"names": ["b"], "formats": ["i2"], "offsets": [3], "itemsize": 9}),
    [("a:b", "f4"), ("O", "i2"), ("inner", [("M8[s]:", "M8[s]", (2,))])],
    [("日本", "i4"), ("q\"'\\", "i1"), ("a\nb", "u2")],
]
SHAPES: list[tuple[int, ...]] = [(), (0,), (7,), (3, 0, 2), (2, 3), (1, 1, 1, 4)]


def filled(dtype: Any, shape: tuple[int, ...]) -> Any:
    """Elements that all differ, if the type has as many values."""
    dtype = numpy.dtype(dtype)
    array = numpy.zeros(shape, dtype)
    flat = array.reshape(-1)
    if dtype.names:
        for name in dtype.names:
            flat[name] = filled(*(dtype[name].subdtype or (dtype[name], ())))
    elif dtype.kind in "SU":
        flat[:] = [str(number) for number in range(flat.size)]
    elif dtype.kind == "V":
        flat[:] = [bytes([number % 256]) * dtype.itemsize for number in range(flat.size)]
    elif dtype.kind in "mM":
        flat[:] = numpy.arange(flat.size).astype("i8").view("m8" if dtype.kind == "m" else "M8")
    else:
        flat[:] = numpy.arange(flat.size) % 100
    return array


def assert_same(found: Any, given: Any) -> None:
    assert (found.dtype, found.shape) == (given.dtype, given.shape)
    assert repr(found.tolist()) == repr(given.tolist())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_and_shape_comes_back(server: otto.Server, dtype: Any, shape: Any) -> None:
    given = filled(dtype, shape)
    otto.put_dataset("a", given)
    dataset = otto.open_dataset("a")
    found = dataset.numpy()
    assert_same(found, given)
    assert (dataset.dtype, dataset.shape, dataset.size) == (given.dtype, shape, given.nbytes)
    assert not found.flags.writeable
    assert not found.flags.owndata
    assert not given.size or lies_in(found.ctypes.data, "a")
    assert found.ctypes.data % 64 == 0, "behind a header of the right length"
    assert_same(numpy.load(dataset.path), given)
    if given.size and shape:
        assert_same(numpy.load(dataset.path, mmap_mode="r"), given)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_in_other_orders(server: otto.Server, dtype: Any) -> None:
    given = filled(dtype, (4, 6, 2))
    for scattered in [
        given[:, ::2],
        given.T,
        numpy.asfortranarray(given),
        given[::-1, ::-2],
        given[1:1],
        numpy.broadcast_to(given[0, 0], (3, 2)),
        given[..., 0][:, 0],
    ]:
        otto.put_dataset("a", scattered)
        assert_same(otto.open_dataset("a").numpy(), scattered)


def test_more_elements_than_are_gathered_at_once(server: otto.Server) -> None:
    for dtype, size in [("u1", 1000), ("f8", 700), ("c16", 300), ("V3", 700)]:
        given = numpy.frombuffer(
            numpy.random.bytes(size * size * numpy.dtype(dtype).itemsize), dtype
        )
        given = given.reshape(size, size)
        for scattered in [given.T, given[:, 1:], given[::-1]]:
            otto.put_dataset("a", scattered)
            assert otto.open_dataset("a").numpy().tobytes() == scattered.tobytes()


@pytest.mark.parametrize("size", [262_143, 262_144, 262_145, 1_000_000])
def test_elements_larger_than_what_is_gathered_at_once(server: otto.Server, size: int) -> None:
    given = numpy.frombuffer(numpy.random.bytes(6 * size), f"V{size}").reshape(2, 3)
    for scattered in [given[:, ::2], given.T, given[::-1, ::-1], given[:, 1]]:
        otto.put_dataset("a", scattered)
        found = otto.open_dataset("a").numpy()
        assert found.shape == scattered.shape
        assert found.tobytes() == scattered.tobytes()


@pytest.mark.parametrize("dtype", ["?", "i8", ">f8", "f2", "U5", "S3", [("a", "i4"), ("b", "f8")]])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_memoryviews_of_it_are_as_those_of_the_array(
    server: otto.Server, dtype: Any, shape: Any
) -> None:
    given = filled(dtype, shape)
    otto.put_dataset("a", given)
    view, wanted = otto.get_dataset("a"), memoryview(given)
    for name in "format", "itemsize", "shape", "ndim", "nbytes", "c_contiguous":
        assert getattr(view, name) == getattr(wanted, name), name
    assert view.tobytes() == wanted.tobytes()
    assert_same(numpy.asarray(view), given)


def test_what_holds_python_objects_or_can_not_be_kept(server: otto.Server) -> None:
    refused = {
        "references to Python objects": [
            numpy.array([object()]),
            numpy.zeros(2, [("a", "i4"), ("b", object)]),
            numpy.array(["text"], dtype=numpy.dtypes.StringDType()),
        ],
        "addresses": [memoryview(numpy.array([object()]))],
        "mask": [numpy.ma.masked_array([1, 2], [0, 1])],
        "can't be kept": [numpy.zeros(2, "V0"), numpy.zeros(2, [])],
    }
    for message, arrays in refused.items():
        for array in arrays:
            with pytest.raises(otto.UsageError, match=message) as caught:
                otto.put_dataset("a", array)
            assert "\n" not in str(caught.value)
    overlapping = {"names": ["a", "b"], "formats": ["i4", "i2"], "offsets": [0, 0]}
    with warnings.catch_warnings(), pytest.raises(otto.UsageError, match="can't be kept"):
        warnings.simplefilter("ignore")
        otto.put_dataset("a", numpy.zeros(2, overlapping))
    assert otto.list_datasets() == []


def test_kinds_of_arrays(server: otto.Server, tmp_path: Any) -> None:
    numpy.save(tmp_path / "a.npy", numpy.arange(10))
    for given in [
        numpy.float64(2.5),
        numpy.datetime64("2026-01-01"),
        numpy.load(tmp_path / "a.npy", mmap_mode="r"),
        numpy.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    ]:
        otto.put_dataset("a", given)
        assert_same(otto.open_dataset("a").numpy(), numpy.asarray(given))


def test_a_npy_file_published_as_it_is(server: otto.Server, tmp_path: Any) -> None:
    given = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    numpy.save(tmp_path / "a.npy", given)
    data = (tmp_path / "a.npy").read_bytes()
    otto.put_dataset("a", data)
    found = otto.open_dataset("a").numpy()
    assert_same(found, given)
    assert lies_in(found.ctypes.data, "a")
    otto.put_dataset("a", data[:-1])
    with pytest.raises(otto.Corrupt, match=r"no whole \.npy file"):
        otto.open_dataset("a").numpy()
    numpy.save(tmp_path / "a.npy", numpy.array([object()]), allow_pickle=True)
    otto.put_dataset("a", (tmp_path / "a.npy").read_bytes())
    with pytest.raises(otto.UsageError, match="references"):
        otto.open_dataset("a").numpy()


def test_npy_files_with_long_headers_and_names_of_any_letters(
    server: otto.Server, tmp_path: Any
) -> None:
    for names, version in [
        (["日本", "é", "\\u00e9", "'"], (3, 0)),
        (["é"], (1, 0)),
        ([f"field{number}" for number in range(900)], (1, 0)),
        ([f"a long name, number {number:4}" for number in range(3000)], (2, 0)),
    ]:
        given = filled([(name, "i4") for name in names], (3,))
        with warnings.catch_warnings(), open(tmp_path / "a.npy", "wb") as file:
            warnings.simplefilter("ignore")
            numpy.lib.format.write_array(file, given, version)
        otto.put_dataset("a", tmp_path / "a.npy")
        assert_same(otto.open_dataset("a").numpy(), given)


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\x00\x00\x10\x00", b"\x10\x00\x00\x00"])
@pytest.mark.parametrize("version", [0, 2, 3, 9])
def test_damaged_headers_of_npy_files(server: otto.Server, version: int, length: bytes) -> None:
    for text in [b"(" * 1_500_000, b"-" * 1_500_000, b"\xff" * 1_500_000, b""]:
        otto.put_dataset("a", b"\x93NUMPY" + bytes([version, 0]) + length + text)
        with pytest.raises(otto.Corrupt, match=r"no whole \.npy file") as caught:
            otto.open_dataset("a").numpy()
        assert "\n" not in str(caught.value)


def test_what_ctypes_says_of_itself(server: otto.Server) -> None:
    class Row(ctypes.Structure):
        _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_double), ("c", ctypes.c_char)]

    class Swapped(ctypes.BigEndianStructure):
        _fields_ = [("a", ctypes.c_int), ("b", ctypes.c_short)]

    rows = (Row * 2)((1, 0.5, b"x"), (2, 1.5, b"y"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data, wanted in [
            (rows, [(1, 0.5, b"x"), (2, 1.5, b"y")]),
            (rows[1], (2, 1.5, b"y")),
            (((Swapped * 1) * 2)(((1, 2),), ((3, 4),)), [[(1, 2)], [(3, 4)]]),
            (((ctypes.c_short * 2) * 3)((1, 2), (3, 4), (5, 6)), [[1, 2], [3, 4], [5, 6]]),
            ((ctypes.c_wchar * 3)("a", "é", "日"), ["a", "é", "日"]),
            ((ctypes.c_longdouble * 2)(1, 2), [1, 2]),
        ]:
            otto.put_dataset("a", data)
            dataset = otto.open_dataset("a")
            for found in [dataset.numpy(), numpy.load(dataset.path)]:
                assert_same(found, numpy.array(wanted, found.dtype))


def test_elements_that_numpy_has_no_type_for(server: otto.Server) -> None:
    class Bits(ctypes.Structure):
        _fields_ = [("a", ctypes.c_int, 3), ("b", ctypes.c_int, 5)]

    otto.put_dataset("a", (Bits * 2)((1, 2), (3, 4)))
    dataset = otto.open_dataset("a")
    assert bytes(dataset) == bytes((Bits * 2)((1, 2), (3, 4)))
    with pytest.raises(otto.UsageError, match=r"use memoryview\(\)"):
        dataset.numpy()


def test_modules_that_an_array_does_not_need_are_not_imported(server: otto.Server) -> None:
    """A child forked while a thread imports one would wait for that thread for ever."""
    code = """if True:
        import sys, numpy, otto
        otto.put_dataset("a", numpy.zeros(3))
        otto.open_dataset("a").numpy()
        print([name for name in sys.modules if name.startswith("numpy.ma.")])
    """
    assert python(code) == "[]\n"


def test_plain_bytes_are_an_array_of_uint8(server: otto.Server) -> None:
    for data in [b"", b"abc"]:
        otto.put_dataset("a", data)
        dataset = otto.open_dataset("a")
        assert (dataset.numpy().tolist(), dataset.dtype) == (list(data), numpy.uint8)


@pytest.mark.parametrize("shape", [(), (0,), (5,), (1, 5, 1), (2, 3), (2, 0)], ids=str)
def test_only_what_a_view_asks_for_is_filled_in(server: otto.Server, shape: Any) -> None:
    testbuffer = pytest.importorskip("_testbuffer")
    otto.put_dataset("a", numpy.zeros(shape, "i4"))
    dataset = otto.open_dataset("a")
    is_row = len([length for length in shape if length != 1]) <= 1 or 0 in shape
    for name in ["SIMPLE", "ND", "STRIDES", "FORMAT", "C_CONTIGUOUS", "ANY_CONTIGUOUS", "FULL_RO"]:
        flags = getattr(testbuffer, f"PyBUF_{name}")
        view = testbuffer.ndarray(dataset, getbuf=flags)
        assert (view.readonly, view.nbytes) == (True, dataset.size)
        asked = name in ["ND", "STRIDES", "C_CONTIGUOUS", "ANY_CONTIGUOUS", "FULL_RO"]
        assert (tuple(view.shape) == shape) or not asked
    fortran = testbuffer.PyBUF_F_CONTIGUOUS
    if is_row:
        testbuffer.ndarray(dataset, getbuf=fortran)
    else:
        with pytest.raises(BufferError, match="C order"):
            testbuffer.ndarray(dataset, getbuf=fortran)
    for writable in [testbuffer.PyBUF_WRITABLE, testbuffer.PyBUF_FULL]:
        with pytest.raises(BufferError, match="read-only"):
            testbuffer.ndarray(dataset, getbuf=writable)


def test_a_dataset_is_not_pickled(server: otto.Server) -> None:
    otto.put_dataset("a", b"")
    with pytest.raises(TypeError, match=r"pass the name \"a\""):
        pickle.dumps(otto.open_dataset("a"))
