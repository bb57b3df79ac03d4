"""Tables through datasets: Arrow, and what speaks Arrow."""

import datetime
import decimal
from typing import Any

import otto
import pytest
from conftest import lies_in

pyarrow = pytest.importorskip("pyarrow")
ipc = pytest.importorskip("pyarrow.ipc")
csv = pytest.importorskip("pyarrow.csv")


def columns(rows: int) -> dict[str, Any]:
    """One column of each kind, a third of each null where that is possible."""
    numbers = [None if row % 3 == 2 else row for row in range(rows)]

    def each(make: Any) -> list[Any]:
        return [None if number is None else make(number) for number in numbers]

    day = datetime.date(2026, 1, 1)
    return {
        "integers": pyarrow.array(range(rows), pyarrow.int64()),
        "floats": pyarrow.array(numbers, pyarrow.float64()),
        "truths": pyarrow.array(each(lambda n: n % 2 == 0), pyarrow.bool_()),
        "texts": pyarrow.array(each(lambda n: "é" * n)),
        "views": pyarrow.array(each(lambda n: "a longer text, number " + str(n))).cast(
            "string_view"
        ),
        "bytes": pyarrow.array(each(lambda n: bytes([n % 256]) * 5), pyarrow.binary(5)),
        "lists": pyarrow.array(each(lambda n: list(range(n % 4))), pyarrow.list_(pyarrow.int16())),
        "structs": pyarrow.array(each(lambda n: {"x": n, "y": [str(n)]})),
        "maps": pyarrow.array(
            each(lambda n: [(str(n), n)]), pyarrow.map_(pyarrow.string(), pyarrow.int8())
        ),
        "words": pyarrow.array(each(lambda n: "ab"[n % 2])).dictionary_encode(),
        "days": pyarrow.array(each(lambda n: day + datetime.timedelta(n))),
        "times": pyarrow.array(numbers, pyarrow.timestamp("us", "Europe/Berlin")),
        "amounts": pyarrow.array(each(decimal.Decimal), pyarrow.decimal128(20, 3)),
        "nothing": pyarrow.nulls(rows),
    }


def addresses(table: Any) -> list[int]:
    """Of all its buffers that hold anything."""
    found = []

    def visit(array: Any) -> None:
        found.extend(b.address for b in array.buffers() if b is not None and b.size)
        if pyarrow.types.is_dictionary(array.type):
            visit(array.dictionary)

    for column in table.columns:
        for chunk in column.chunks:
            visit(chunk)
    return found


@pytest.mark.parametrize("rows", [0, 1, 100])
def test_every_kind_of_column_is_read_where_it_lies(server: otto.Server, rows: int) -> None:
    given = pyarrow.table(columns(rows))
    otto.put_dataset("t", given)
    dataset = otto.open_dataset("t")
    found = dataset.arrow()
    assert found.equals(given)
    assert found.schema.equals(given.schema, check_metadata=True)
    found.validate(full=True)
    assert all(lies_in(address, "t") for address in addresses(found))
    assert rows == 0 or len(addresses(found)) > 20
    assert dataset.about == {"content_type": "application/vnd.apache.arrow.file"}
    assert ipc.open_file(pyarrow.memory_map(dataset.path)).read_all().equals(given)


def test_parts_of_tables(server: otto.Server) -> None:
    table = pyarrow.table(columns(100))
    for given in [
        table.slice(7, 50),
        table.slice(1, 1),
        table.slice(100),
        pyarrow.concat_tables([table, table.slice(3, 9)]),
        table.select([]),
        table.replace_schema_metadata({"unit": "metres"}),
    ]:
        otto.put_dataset("t", given)
        found = otto.open_dataset("t").arrow()
        assert found.equals(given)
        assert found.schema.metadata == given.schema.metadata
    # A part takes no more room than it holds.
    otto.put_dataset("t", pyarrow.table({"a": range(1_000_000)}).slice(5, 10))
    assert otto.open_dataset("t").size < 2000


def test_batches_keep_their_bounds_and_share_dictionaries(server: otto.Server) -> None:
    words = [pyarrow.array(words).dictionary_encode() for words in [["a", "b"], ["c", "a"]]]
    given = pyarrow.table({"w": pyarrow.chunked_array(words)})
    otto.put_dataset("t", given)
    found = otto.open_dataset("t").arrow()
    assert found["w"].to_pylist() == ["a", "b", "c", "a"]
    assert found["w"].num_chunks == 2


def test_what_else_arrow_has(server: otto.Server) -> None:
    table = pyarrow.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    for given in [table.to_batches()[0], table.to_reader()]:
        otto.put_dataset("t", given)
        assert otto.open_dataset("t").arrow().equals(table)
    for given in [table["a"].chunk(0), table["a"]]:
        otto.put_dataset("t", given)
        assert otto.open_dataset("t").arrow().to_pydict() == {"values": [1, 2, None]}
    otto.put_dataset("t", pyarrow.py_buffer(b"plain"))
    dataset = otto.open_dataset("t")
    assert (dataset.about, dataset.arrow().to_pybytes()) == (None, b"plain")
    assert lies_in(dataset.arrow().address, "t")


class Streamed:
    """What hands out Arrow data and is of no class of pyarrow's."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_stream__(requested_schema)


class Exported:
    """The same for what is in one piece."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
        return self.data.__arrow_c_array__(requested_schema)


def test_what_others_hand_out(server: otto.Server) -> None:
    table = pyarrow.table({"a": [1, 2, None]}).replace_schema_metadata({"unit": "metres"})
    column = table["a"].chunk(0)
    for given in [Streamed(table), Streamed(table.to_reader()), Exported(table.to_batches()[0])]:
        otto.put_dataset("t", given)
        found = otto.open_dataset("t").arrow()
        assert found.equals(table, check_metadata=True)
    for given in [Streamed(table["a"]), Exported(column)]:
        otto.put_dataset("t", given)
        assert otto.open_dataset("t").arrow().to_pydict() == {"values": [1, 2, None]}


@pytest.mark.parametrize("error", [ValueError, OSError, KeyError])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_stream_that_fails_midway(server: otto.Server, error: Any, wrapped: bool) -> None:
    def batches() -> Any:
        yield pyarrow.record_batch({"a": [1]})
        raise error("broken off")

    otto.put_dataset("t", pyarrow.table({"a": [7]}))
    schema = pyarrow.schema([("a", pyarrow.int64())])
    reader = pyarrow.RecordBatchReader.from_batches(schema, batches())
    with pytest.raises(Exception, match="broken off"):
        otto.put_dataset("t", Streamed(reader) if wrapped else reader)
    dataset = otto.open_dataset("t")
    assert (dataset.generation, dataset.arrow().to_pydict()) == (1, {"a": [7]})


def test_a_column_of_structs_is_one_column(server: otto.Server) -> None:
    """Whatever is in it, and whether it is a part of another."""
    whole = pyarrow.array([{"x": 1}, {"x": 2}, None])
    for column in [whole, whole[:2], whole[1:2], whole[2:], whole[:0]]:
        for given in [column, pyarrow.chunked_array([column])]:
            otto.put_dataset("t", given)
            found = otto.open_dataset("t").arrow()
            assert found.to_pydict() == {"values": column.to_pylist()}
            assert found.schema.field("values").type == whole.type
    polars = pytest.importorskip("polars")
    for rows in [[{"x": 1}], [{"x": 1}, None]]:
        given = polars.Series("structs", rows)
        otto.put_dataset("t", given)
        assert otto.open_dataset("t").polars()["structs"].to_list() == rows


def test_rows_that_are_missing_altogether(server: otto.Server) -> None:
    """Such as no table has, in what only says that it is a struct."""
    column = pyarrow.array([{"x": 1}, None])
    for given in [Streamed(pyarrow.chunked_array([column])), Exported(column)]:
        with pytest.raises(pyarrow.ArrowInvalid, match="null"):
            otto.put_dataset("t", given)
    assert otto.list_datasets() == []


def test_arrow_files_published_as_they_are(server: otto.Server) -> None:
    table = pyarrow.table({"a": range(1000)})
    sink = pyarrow.BufferOutputStream()
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    otto.put_dataset("t", data)
    found = otto.open_dataset("t").arrow()
    assert found.equals(table)
    assert lies_in(addresses(found)[0], "t")
    for damaged in [data[:-1], data[:100], b"ARROW1" + bytes(100)]:
        otto.put_dataset("t", damaged)
        with pytest.raises(otto.Corrupt, match="no whole Arrow file") as caught:
            otto.open_dataset("t").arrow()
        assert "\n" not in str(caught.value)


def test_damaged_arrow_files(server: otto.Server) -> None:
    """Each byte of the footer changed: what comes is a table or one line that says why not."""
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"a": [1, 2], "b": ["x", "y"]})
    with ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    whole = sink.getvalue().to_pybytes()
    damaged = 0
    for at in range(8, len(whole)):
        otto.put_dataset("t", whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            otto.open_dataset("t").arrow()
        except otto.Corrupt as error:
            assert "no whole Arrow file" in str(error)
            assert "\n" not in str(error)
            damaged += 1
    assert damaged > 50


def test_objects_of_python_in_frames_of_polars(server: otto.Server) -> None:
    polars = pytest.importorskip("polars")
    column = polars.Series("o", [object()], polars.Object)
    for given in [column, polars.DataFrame({"a": [1], "o": column})]:
        with pytest.raises(otto.UsageError, match="references to Python objects"):
            otto.put_dataset("t", given)
    assert otto.list_datasets() == []


def test_a_table_is_published_again(server: otto.Server) -> None:
    table = pyarrow.table({"a": [1, 2]})
    otto.put_dataset("a", table)
    otto.put_dataset("b", otto.open_dataset("a"))
    assert otto.open_dataset("b").arrow().equals(table)


def test_views_of_columns_outlive_everything() -> None:
    with otto.serve():
        otto.put_dataset("t", pyarrow.table({"a": range(100_000)}))
        column = otto.open_dataset("t").arrow()["a"].chunk(0)
        otto.put_dataset("t", b"another")
        otto.remove_dataset("t")
    assert column[99_999].as_py() == 99_999
    assert not column.buffers()[1].is_mutable


def test_polars(server: otto.Server) -> None:
    polars = pytest.importorskip("polars")
    given = polars.DataFrame(
        {
            "a": range(1000),
            "b": [f"text {n}" for n in range(1000)],
            "c": [[n, None] for n in range(1000)],
        }
    )
    otto.put_dataset("t", given)
    dataset = otto.open_dataset("t")
    found = dataset.polars()
    assert found.equals(given)
    assert found.schema == given.schema
    assert polars.DataFrame(dataset).equals(given)
    assert polars.read_ipc(dataset.path).equals(given)
    assert lies_in(found["a"].to_numpy(allow_copy=False).ctypes.data, "t")
    otto.put_dataset("s", given["a"])
    assert otto.open_dataset("s").polars().equals(given.select("a"))
    otto.put_dataset("b", b"bytes")
    with pytest.raises(otto.UsageError, match="no table"):
        otto.open_dataset("b").polars()


def test_pandas(server: otto.Server) -> None:
    pandas = pytest.importorskip("pandas")
    given = pandas.DataFrame(
        {
            "a": range(1000),
            "b": [n / 2 for n in range(1000)],
            "text": [str(n) for n in range(1000)],
            "when": pandas.date_range("2026-01-01", periods=1000),
            "kind": pandas.Categorical(["x", "y"] * 500),
        },
        index=pandas.Index(range(5, 1005), name="row"),
    )
    otto.put_dataset("t", given)
    found = otto.open_dataset("t").pandas()
    pandas.testing.assert_frame_equal(found, given)
    for name in "a", "b", "when":
        assert lies_in(found[name].to_numpy(copy=False).ctypes.data, "t"), name
    otto.put_dataset("s", given["a"])
    assert otto.open_dataset("s").arrow()["a"].to_pylist() == list(range(1000))


def test_duckdb(server: otto.Server) -> None:
    duckdb = pytest.importorskip("duckdb")
    otto.put_dataset("t", duckdb.sql("select range as a, 'x' || range as b from range(1000)"))
    dataset = otto.open_dataset("t")
    assert dataset.size, "duckdb finds the variable by its name"
    assert duckdb.sql("select sum(a), max(b) from dataset").fetchall() == [(499_500, "x999")]
    otto.put_dataset("rows", b"a,b\n1,x\n2,y\n")
    path = otto.open_dataset("rows").path
    assert duckdb.sql(f"select sum(a) from read_csv('{path}')").fetchall() == [(3,)]


def test_csv_and_parquet_are_read_where_they_lie(server: otto.Server) -> None:
    otto.put_dataset("rows", b"a,b\n1,x\n2,y\n")
    table = csv.read_csv(pyarrow.py_buffer(otto.get_dataset("rows")))
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert csv.read_csv(otto.open_dataset("rows").path).equals(table)
    parquet = pytest.importorskip("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink)
    otto.put_dataset("parquet", sink.getvalue())
    dataset = otto.open_dataset("parquet")
    assert parquet.read_table(pyarrow.BufferReader(dataset.arrow())).equals(table)
    polars = pytest.importorskip("polars")
    assert polars.read_parquet(dataset.path)["a"].to_list() == [1, 2]
    assert polars.read_csv(otto.open_dataset("rows").path)["b"].to_list() == ["x", "y"]


def test_a_table_takes_no_second_copy(server: otto.Server) -> None:
    """What is written is handed over where it lies."""
    from otto import _arrow

    given = pyarrow.table({"a": pyarrow.array(range(100_000))})
    large = [part for part in _arrow.parts(given) if isinstance(part, pyarrow.Buffer)]
    assert [part.address for part in large] == [given["a"].chunk(0).buffers()[1].address]
