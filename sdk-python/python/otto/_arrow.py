"""Tables, to datasets and back, through Arrow. Imported where they are needed, and not before."""

# The package may be missing where types are checked, or come without any.
# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import pyarrow
from pyarrow import ipc

from otto._datasets import ARROW, _is_a, _missing
from otto.errors import Corrupt, UsageError

MAGIC = b"ARROW1"


class _Parts:
    """A file that keeps what is written to it as it is handed over: without a copy."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def write(self, part: Any) -> int:
        self.parts.append(part)
        return memoryview(part).nbytes

    def flush(self) -> None:
        """There is nothing to flush."""

    def close(self) -> None:
        """There is nothing to close."""


def parts(data: Any) -> list[Any]:
    """The Arrow file that holds ``data``, as parts that lie where the columns lie."""
    _check(data)
    table = _table(data)
    sink = _Parts()
    # All parts of a column share a dictionary in a file.
    options = ipc.IpcWriteOptions(unify_dictionaries=True)
    with ipc.new_file(pyarrow.PythonFile(sink, mode="w"), table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.parts


def _table(data: Any) -> pyarrow.Table:
    if isinstance(data, pyarrow.Table):
        return data
    # Only frames and relations may be taken apart: structs of a column stay together.
    if isinstance(data, (pyarrow.Array, pyarrow.ChunkedArray)) or hasattr(type(data), "dtype"):
        return _of_column(data)
    try:
        if hasattr(data, "__arrow_c_stream__"):
            rows = pyarrow.RecordBatchReader.from_stream(data)
        else:
            return pyarrow.Table.from_batches([pyarrow.record_batch(data)])
    except pyarrow.ArrowInvalid:
        column = _of_column(data)
        if pyarrow.types.is_struct(column.schema.types[0]):
            raise
        return column
    # By now it can't be anything else: a stream is read once, and its failure is one.
    return rows.read_all()


def _check(data: Any) -> None:
    """Refuses what polars would hand out as addresses in this process's memory."""
    if _is_a(data, "polars", "DataFrame", "Series"):
        types = data.dtypes if hasattr(data, "dtypes") else [data.dtype]
        if any(map(_holds_references, types)):
            raise UsageError(
                "a column of type Object holds references to Python objects, which no other "
                "process can follow: cast it, or drop it"
            )


def _holds_references(kind: Any) -> bool:
    """Whether this type of polars is, or has in it, objects of Python."""
    fields = [field.dtype for field in getattr(kind, "fields", [])]
    inner = [kind.inner] if getattr(kind, "inner", None) is not None else []
    return str(kind) == "Object" or any(map(_holds_references, fields + inner))


def _of_column(data: Any) -> pyarrow.Table:
    """A table of this column alone."""
    name = getattr(data, "name", None)
    names = [name if isinstance(name, str) and name else "values"]
    return pyarrow.table([pyarrow.chunked_array(data)], names=names)


def arrow(dataset: Any) -> pyarrow.Table | pyarrow.Buffer:
    """The table in the memory of ``dataset``; where it holds none, that memory."""
    memory = pyarrow.py_buffer(dataset)
    if not _is_arrow(dataset, memory):
        return memory
    try:
        return ipc.open_file(memory).read_all()
    except (pyarrow.ArrowException, OSError, ValueError, KeyError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise Corrupt(f"dataset {dataset.name} is no whole Arrow file: {line}") from error


def _is_arrow(dataset: Any, memory: pyarrow.Buffer) -> bool:
    about = dataset.about
    if about is None:
        # A file that was published as it is.
        return memory.size > 2 * len(MAGIC) and memory[: len(MAGIC)].to_pybytes() == MAGIC
    return isinstance(about, dict) and about.get("content_type") == ARROW


def table(dataset: Any) -> pyarrow.Table:
    """The table that ``dataset`` must hold."""
    found = arrow(dataset)
    if not isinstance(found, pyarrow.Table):
        raise UsageError(f"dataset {dataset.name} holds no table: use .numpy() or memoryview()")
    return found


def polars(dataset: Any) -> Any:
    """That table as a frame of polars."""
    try:
        import polars
    except ModuleNotFoundError as error:
        raise _missing(error, "polars") from error
    return polars.from_arrow(table(dataset))


def pandas(dataset: Any) -> Any:
    """That table as a frame of pandas."""
    try:
        import pandas  # noqa: F401
    except ModuleNotFoundError as error:
        raise _missing(error, "pandas") from error
    # In blocks of one column each they stay where they are.
    return table(dataset).to_pandas(split_blocks=True)
