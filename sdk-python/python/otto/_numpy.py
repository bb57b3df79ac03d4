"""Arrays of numpy, to datasets and back. Imported where numpy is needed, and not before."""

# The package may be missing where types are checked, or come without any.
# mypy: ignore-errors

from __future__ import annotations

import io
import sys
from typing import Any

import numpy
from numpy.lib import format as npy

from otto._datasets import ARROW
from otto.errors import Corrupt, UsageError

# Longest header of a .npy file, in bytes: some ten thousand fields.
HEADER_MAX = 1 << 20


def lend(array: Any) -> tuple[numpy.ndarray, Any]:
    """``array`` with a type that buffers know, and its own as .npy files spell it."""
    # Who imports a module at this point hangs in a child that was forked meanwhile.
    masked = sys.modules.get("numpy.ma")
    if masked is not None and isinstance(array, masked.MaskedArray):
        raise UsageError("a dataset keeps no mask: publish .filled(), or .data and .mask")
    array = numpy.asarray(array)
    descr = _descr(array.dtype)
    return array.view(_lent(array.dtype)), descr


def structures(data: Any) -> Any:
    """``data`` of ctypes, as an array if it has padding, of which its buffer says nothing.

    Raises a TypeError for what numpy has no type for, such as bit fields.
    """
    kind = type(data)
    while hasattr(kind, "_length_"):
        kind = kind._type_
    dtype = numpy.dtype(kind)
    if not _has_gaps(dtype):
        return data
    return numpy.ndarray(memoryview(data).shape, dtype, buffer=data)


def _has_gaps(dtype: numpy.dtype) -> bool:
    fields = [dtype.base.fields[name][0] for name in dtype.base.names or ()]
    size = sum(field.itemsize for field in fields)
    return bool(fields) and (size != dtype.base.itemsize or any(map(_has_gaps, fields)))


def element(dtype: Any) -> tuple[str, int, Any]:
    """Format and size of an element of ``dtype``, and the type as .npy files spell it."""
    try:
        dtype = numpy.dtype(dtype)
    except TypeError as error:
        raise UsageError(f"dtype {dtype!r} is none of numpy's: {error}") from error
    if dtype.subdtype:
        raise UsageError(f"dtype {dtype} has a shape of its own: make it part of shape")
    descr = _descr(dtype)
    view = memoryview(numpy.empty(0, _lent(dtype)))
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
        if about.get("content_type") == ARROW:
            raise UsageError(f"dataset {dataset.name} is no array: use .arrow()")
    elif bytes(memoryview(dataset)[:6]) == npy.MAGIC_PREFIX:
        return _file(dataset)
    try:
        return numpy.asarray(memoryview(dataset))
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"dataset {dataset.name} has elements of format {dataset.format}, of which numpy can "
            "make nothing: use memoryview()"
        ) from error


def _file(dataset: Any) -> numpy.ndarray:
    """The array in a .npy file that was published as it is."""
    memory = memoryview(dataset)
    try:
        start, (shape, fortran, dtype) = _header(memory)
    # Any program may have written it, and it takes much of Python to read it.
    except Exception as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise Corrupt(f"dataset {dataset.name} is no whole .npy file: {line}") from error
    _check(dtype)
    try:
        return numpy.ndarray(shape, dtype, memory, start, order="F" if fortran else "C")
    except (ValueError, TypeError) as error:
        raise Corrupt(f"dataset {dataset.name} is no whole .npy file: {error}") from error


def _header(memory: memoryview) -> tuple[int, Any]:
    """Where the elements of a .npy file begin, and shape, order and type of them."""
    version = npy.read_magic(io.BytesIO(memory[: npy.MAGIC_LEN]))
    if version not in [(1, 0), (2, 0), (3, 0)]:
        raise ValueError(f"there is no version {version[0]}.{version[1]}")
    text = npy.MAGIC_LEN + (2 if version == (1, 0) else 4)
    length = int.from_bytes(memory[npy.MAGIC_LEN : text], "little")
    if length > min(HEADER_MAX, memory.nbytes - text):
        raise ValueError(f"a header of {length} bytes is beyond its end or {HEADER_MAX} bytes")
    header = bytes(memory[text : text + length])
    if version == (3, 0):
        # numpy reads the second version only in public, which is for Latin letters.
        header = header.decode().encode("ascii", "backslashreplace")
    file = io.BytesIO(len(header).to_bytes(4, "little") + header)
    return text + length, npy.read_array_header_2_0(file, max_header_size=len(header))


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
        raise UsageError(
            f"dtype {dtype} can't be kept: its fields must be in order, and none "
            "be empty or overlap another"
        )
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


def _lent(dtype: numpy.dtype) -> numpy.dtype:
    """A type of the same size that buffers know."""
    # Formats have colons around names, and zeros at their end.
    return _plain(dtype) if _can_be_spelled(dtype) else numpy.dtype((numpy.void, dtype.itemsize))


def _can_be_spelled(dtype: numpy.dtype) -> bool:
    if dtype.subdtype:
        return _can_be_spelled(dtype.subdtype[0])
    return not any(
        ":" in name or "\0" in name or not _can_be_spelled(dtype.fields[name][0])
        for name in dtype.names or ()
    )


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
