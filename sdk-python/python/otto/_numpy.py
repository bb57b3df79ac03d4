"""Arrays of numpy, to datasets and back. Imported where numpy is needed, and not before."""

# The package may be missing where types are checked, or come without any.
# mypy: ignore-errors

from __future__ import annotations

import io
from typing import Any

import numpy
from numpy.lib import format as npy

from otto.errors import Corrupt, UsageError


def lend(array: Any) -> tuple[numpy.ndarray, Any]:
    """``array`` with a type that buffers know, and its own as .npy files spell it."""
    if isinstance(array, numpy.ma.MaskedArray):
        raise UsageError("a dataset keeps no mask: publish .filled(), or .data and .mask")
    array = numpy.asarray(array)
    descr = _descr(array.dtype)
    return array.view(_plain(array.dtype)), descr


def element(dtype: Any) -> tuple[str, int, Any]:
    """Format and size of an element of ``dtype``, and the type as .npy files spell it."""
    try:
        dtype = numpy.dtype(dtype)
    except TypeError as error:
        raise UsageError(f"dtype {dtype!r} is none of numpy's: {error}") from error
    if dtype.subdtype:
        raise UsageError(f"dtype {dtype} has a shape of its own: make it part of shape")
    descr = _descr(dtype)
    view = memoryview(numpy.empty(0, _plain(dtype)))
    return view.format, view.itemsize, descr


def over(memory: Any, descr: Any, shape: tuple[int, ...]) -> numpy.ndarray:
    """The array whose elements are the bytes of ``memory``."""
    dtype = _dtype(descr)
    if dtype.itemsize != memoryview(memory).itemsize:
        raise Corrupt(f"dtype {dtype} is not of the size of the elements: publish them anew")
    return numpy.ndarray(shape, dtype, buffer=memory)


def array(dataset: Any) -> numpy.ndarray:
    """The array that a dataset holds."""
    about = dataset.about
    if isinstance(about, dict):
        if "dtype" in about:
            return over(dataset, about["dtype"], dataset.shape)
        if "content_type" in about:
            raise UsageError(f"dataset {dataset.name} is no array: use .arrow()")
    elif bytes(memoryview(dataset)[:6]) == npy.MAGIC_PREFIX:
        return _file(dataset)
    return numpy.asarray(memoryview(dataset))


def _file(dataset: Any) -> numpy.ndarray:
    """The array in a .npy file that was published as it is."""
    memory = memoryview(dataset)
    start = io.BytesIO(memory[:65536])
    try:
        version = npy.read_magic(start)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(start)
        order = "F" if fortran else "C"
        _check(dtype)
        return numpy.ndarray(shape, dtype, memory, start.tell(), order=order)
    except UsageError:
        raise
    except (ValueError, TypeError) as error:
        raise Corrupt(f"dataset {dataset.name} is no whole .npy file: {error}") from error


def _check(dtype: numpy.dtype) -> None:
    if dtype.hasobject:
        raise UsageError(
            f"dtype {dtype} holds references to Python objects, which no other process can "
            "follow: publish numbers, strings of fixed length or an Arrow table"
        )


def _descr(dtype: numpy.dtype) -> Any:
    """As .npy files and labels spell it."""
    _check(dtype)
    try:
        descr = npy.dtype_to_descr(dtype)
        kept = dtype.itemsize and npy.descr_to_dtype(descr) == dtype
    except (TypeError, ValueError):
        kept = False
    if not kept:
        raise UsageError(f"dtype {dtype} can't be kept: use one without empty or overlapping parts")
    return descr


def _dtype(descr: Any) -> numpy.dtype:
    """The type a label spells, in which tuples have become lists."""
    try:
        dtype = npy.descr_to_dtype(_tuples(descr))
    except (TypeError, ValueError, IndexError, KeyError, SyntaxError) as error:
        raise Corrupt(f"{descr!r} is no type of numpy's: publish the dataset anew") from error
    if dtype.hasobject or dtype.subdtype:
        raise Corrupt(f"elements can't be of type {dtype}: publish the dataset anew")
    return dtype


def _tuples(descr: Any) -> Any:
    if not isinstance(descr, list):
        return descr
    # A field is its name, its type and perhaps its shape; a name may have a title before it.
    return [
        (
            tuple(name) if isinstance(name, list) else name,
            _tuples(kind),
            *(tuple(length) if isinstance(length, list) else length for length in shape),
        )
        for name, kind, *shape in descr
    ]


def _plain(dtype: numpy.dtype) -> numpy.dtype:
    """``dtype`` with integers in the place of times, for which buffers have no format."""
    if dtype.kind in "mM":
        return numpy.dtype("i8").newbyteorder(dtype.byteorder)
    if dtype.subdtype:
        base, shape = dtype.subdtype
        return numpy.dtype((_plain(base), shape))
    if dtype.fields:
        fields = [dtype.fields[name] for name in dtype.names or ()]
        return numpy.dtype(
            {
                "names": list(dtype.names or ()),
                "formats": [_plain(field[0]) for field in fields],
                "offsets": [field[1] for field in fields],
                "itemsize": dtype.itemsize,
            }
        )
    return dtype
