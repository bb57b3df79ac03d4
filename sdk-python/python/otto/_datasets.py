"""Datasets, as far as they are Python's own: what numpy and Arrow have to do with them.

Python code calls Otto's native code here and never the other way round: a daemon thread that Python
ends in the midst of Python code, at its own exit, must have no native frames to be unwound. (While
pyarrow writes a table it has some of its own.)
"""

from __future__ import annotations

import sys

from otto import _otto
from otto.errors import MissingPackage, UsageError

# typing itself takes longer to import than all of this package.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType
    from typing import Any, SupportsIndex

    from otto._otto import _Publishable


# What the label of an Arrow file says.
ARROW = "application/vnd.apache.arrow.file"


def _numpy() -> ModuleType:
    try:
        from otto import _numpy
    except ModuleNotFoundError as error:
        raise _missing(error, "numpy") from error
    return _numpy


def _arrow() -> ModuleType:
    try:
        from otto import _arrow
    except ModuleNotFoundError as error:
        raise _missing(error, "pyarrow") from error
    return _arrow


def _missing(error: ModuleNotFoundError, package: str) -> ImportError:
    """That `package` is missing, unless it is there and lacks something itself."""
    if error.name != package:
        return error
    return MissingPackage(f"{package} is not installed: pip install {package}")


def put_dataset(name: str, data: _Publishable, *, spill: bool = False) -> None:
    """Publishes `data` as the run's dataset `name`, replacing its predecessor.

    `data` is bytes or anything else with a buffer; a numpy array of any type that holds no Python
    objects; an Arrow table, record batch or array; or what hands out Arrow data, such as frames of
    polars and pandas and relations of duckdb; a `pathlib.Path`, or an open binary file from its
    position on, such as `sys.stdin.buffer`. Type and shape are kept. It is copied once; nobody may
    change it before the call returns. Readers of a replaced dataset keep what they have.

    Raises `SystemRefused`, an `OSError`, when shared memory is full, unless `spill` is true: then
    the dataset goes to disk, under the same name.

    >>> import otto, array
    >>> with otto.serve():
    ...     otto.put_dataset("features", array.array("d", [0.5, 1.5]))
    ...     otto.get_dataset("features").tolist()
    [0.5, 1.5]
    """
    if isinstance(data, Dataset):
        data = _content(data)
    elif _is_a(data, "_ctypes", "Array", "Structure"):
        data = _structures(data)
    if _is_a(data, "numpy", "ndarray", "generic"):
        elements, dtype = _numpy().lend(data)
        _otto.put_elements(name, elements, dtype, spill)
    elif hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        _otto.put_parts(name, _arrow().parts(data), spill)
    elif _is_a(data, "pyarrow", "Buffer"):
        # Its format says signed bytes.
        _otto.put_elements(name, memoryview(data).cast("B"), None, spill)  # type: ignore[arg-type]
    elif (hasattr(data, "read") or hasattr(data, "__fspath__")) and not _has_buffer(data):
        from otto import _files

        _files.put(name, data, spill)
    else:
        _otto.put_elements(name, data, None, spill)  # type: ignore[arg-type]


def _content(dataset: Dataset) -> Any:
    """What says as much as the label of `dataset`, which is more than its buffer can."""
    about = dataset.about if isinstance(dataset.about, dict) else {}
    dtype = about.get("dtype")
    if dtype is not None and not (isinstance(dtype, str) and _otto.element(dtype)):
        return dataset.numpy()
    return dataset.arrow() if about.get("content_type") == ARROW else memoryview(dataset)


def _structures(data: Any) -> Any:
    """What numpy knows of them; where there is none, or it knows nothing, themselves."""
    if not memoryview(data).format.startswith("T{"):
        return data
    try:
        return _numpy().structures(data)
    except (MissingPackage, TypeError, ValueError):
        return data


def _is_a(data: object, module: str, *classes: str) -> bool:
    """Whether `data` is of one of `classes`; where their module is not imported, nothing is."""
    found = sys.modules.get(module)
    return any(isinstance(data, getattr(found, name, ())) for name in classes)


def _has_buffer(data: Any) -> bool:
    """As a mapped file has, which can be read, too."""
    try:
        memoryview(data).release()
    except TypeError:
        return False
    return True


def open_dataset(name: str) -> Dataset:
    """The dataset `name` as an `otto.Dataset`; raises `NotFound` where there is none.

    >>> import otto, array
    >>> with otto.serve():
    ...     otto.put_dataset("features", array.array("d", [0.5, 1.5]))
    ...     dataset = otto.open_dataset("features")
    >>> dataset.size, dataset.shape, float(dataset.numpy().sum())
    (16, (2,), 2.0)
    """
    return Dataset(name)


class Dataset(_otto.OpenDataset):
    """One published dataset, as `otto.open_dataset` finds it.

    It is read where it lies: memoryview(dataset), and anything else that takes a buffer, shows the
    same memory, read-only, as do arrays and tables from the methods. That memory stays as it is as
    long as any of them lives, also when the dataset is replaced or removed or the run ends.

    >>> import otto
    >>> with otto.serve():
    ...     otto.put_dataset("text", b"first")
    ...     dataset = otto.open_dataset("text")
    ...     otto.put_dataset("text", b"second")
    ...     bytes(dataset), dataset.generation, otto.open_dataset("text").generation
    (b'first', 1, 2)
    """

    __slots__ = ()

    def numpy(self) -> Any:
        """The array, over the dataset's memory; bytes are an array of uint8.

        Raises `MissingPackage`, an `ImportError`, where numpy is not installed.
        """
        return _numpy().array(self)

    @property
    def dtype(self) -> Any:
        """The type of its elements, a numpy.dtype; raises `MissingPackage` without numpy."""
        return self.numpy().dtype

    def arrow(self) -> Any:
        """The pyarrow.Table over the dataset's memory; a pyarrow.Buffer where it holds no table.

        Raises `MissingPackage`, an `ImportError`, where pyarrow is not installed.
        """
        return _arrow().arrow(self)

    def polars(self) -> Any:
        """The table as a polars.DataFrame, over the dataset's memory as far as polars can."""
        return _arrow().polars(self)

    def pandas(self) -> Any:
        """The table as a pandas.DataFrame.

        Numbers without nulls stay in the dataset's memory, what pandas keeps in other ways is
        copied; `arrow().to_pandas(types_mapper=pandas.ArrowDtype)` copies nothing.
        """
        return _arrow().pandas(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
        """The table for whoever takes Arrow data: polars.DataFrame(dataset), duckdb, pyarrow."""
        return _arrow().table(self).__arrow_c_stream__(requested_schema)


def create_dataset(
    name: str,
    dtype: Any,
    shape: SupportsIndex | Sequence[SupportsIndex],
    *,
    spill: bool = False,
) -> DatasetWriter:
    """An array in shared memory to be filled in a `with` block, whose end publishes it as `name`.

    Nothing is copied. The array holds zeros at first; it is numpy's, or a memoryview where numpy is
    not installed. `dtype` is anything numpy takes for one, `shape` a number or several. When the
    block ends by an exception, nothing is published. Afterwards an array of numpy's is read-only;
    nobody may write to it while the block ends, and what is written later, through a memoryview or
    older views of the array, is seen by this process alone. Children forked within the block may
    fill it too, if they are done before it ends.

    Raises `SystemRefused`, an `OSError`, when shared memory is full, unless `spill` is true: then
    the dataset lies on disk, under the same name.

    >>> import otto
    >>> with otto.serve():
    ...     with otto.create_dataset("squares", "f8", 4) as array:
    ...         for i in range(4):
    ...             array[i] = i * i
    ...     otto.get_dataset("squares").tolist()
    [0.0, 1.0, 4.0, 9.0]
    """
    # Most types are understood without numpy.
    known = _otto.element(dtype) if isinstance(dtype, str) else None
    format, size, spelled = known or _numpy().element(dtype)
    memory = _otto.DatasetMemory(name, format, size, spelled, shape, spill)
    return DatasetWriter(memory, spelled)


class DatasetWriter:
    """A dataset that is being filled; made by `otto.create_dataset`, for one `with` block."""

    __slots__ = ("_array", "_dtype", "_entered", "_memory")

    def __init__(self, memory: _otto.DatasetMemory, dtype: Any) -> None:
        # None after the block: whoever keeps this keeps no memory.
        self._memory: Any = memory
        self._dtype = dtype
        self._array: Any = None
        self._entered = False

    def __enter__(self) -> Any:
        if self._entered:
            raise UsageError("this dataset had its block: call otto.create_dataset() again")
        try:
            self._array = _numpy().over(self._memory, self._dtype, self._memory.shape)
        except MissingPackage:
            self._array = memoryview(self._memory)
        self._entered = True
        return self._array

    def __exit__(self, exception_class: object, *_exception: object) -> None:
        array, self._array = self._array, None
        memory, self._memory = self._memory, None
        if array is None or exception_class is not None:
            return
        try:
            memory.publish()
        finally:
            # numpy's arrays can be closed, a memoryview can't.
            if not isinstance(array, memoryview):
                array.flags.writeable = False
