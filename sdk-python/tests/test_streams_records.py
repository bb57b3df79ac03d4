"""What a record may be: of any size, of any bytes, and what is none."""

import os
import threading
from collections.abc import Callable
from typing import Any

import otto
import pytest
from conftest import python

MIB = 1 << 20
Feed = Callable[[bytes], None]


@pytest.fixture
def feed(server: otto.Server) -> Any:
    """Has a thread write bytes into the stream `rows` as they are."""
    threads = []

    def start(data: bytes) -> None:
        otto.input_pipe("rows").close()

        def write() -> None:
            with open(os.path.join(server.run_dir or "", "rows.fifo"), "wb") as fifo:
                fifo.write(data)

        threads.append(threading.Thread(target=write))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize("mode", ["json", "text", "bytes"])
def test_sixteen_mebibytes_and_one_byte(server: otto.Server, mode: Any) -> None:
    records: list[Any] = ["x" * (16 * MIB - 2), "y", "z" * MIB, "", "é" * (8 * MIB - 1)]
    if mode == "bytes":
        records = [record.encode() for record in records]

    def produce() -> None:
        with otto.output_pipe("rows", mode=mode) as out:
            out.writelines(records)

    producer = threading.Thread(target=produce)
    producer.start()
    assert list(otto.input_pipe("rows", mode=mode)) == records
    producer.join()


def test_a_large_structure(server: otto.Server) -> None:
    record = {"rows": [{"i": i, "name": f"n{i}", "x": i / 7} for i in range(200_000)]}

    def produce() -> None:
        with otto.output_pipe("rows") as out:
            out.write(record)

    producer = threading.Thread(target=produce)
    producer.start()
    assert otto.input_pipe("rows").read() == record
    producer.join()


def test_one_byte_records(feed: Feed) -> None:
    feed(b"1\n" * 200_000)
    assert sum(otto.input_pipe("rows")) == 200_000


def test_raw_bytes_with_nul_and_no_lines(server: otto.Server) -> None:
    data = bytes(range(256)) * 20_000
    whole = [data[:1], b"", bytearray(data[1:3]), memoryview(data)[3:100_000], data[100_000:]]

    def produce() -> None:
        with otto.output_pipe("rows", mode="raw") as out:
            for piece in whole:
                out.write(piece)
            out.write(memoryview(data)[::2])
            with pytest.raises(TypeError, match="encode"):
                out.write("text")
            with pytest.raises(TypeError):
                out.write(5)  # type: ignore[arg-type]

    producer = threading.Thread(target=produce)
    producer.start()
    pieces = list(otto.input_pipe("rows", mode="raw"))
    producer.join()
    assert b"".join(pieces) == data + data[::2]
    assert all(pieces)
    assert {type(piece) for piece in pieces} == {bytes}


def test_bytes_of_any_kind_are_a_line(server: otto.Server) -> None:
    def produce() -> None:
        with otto.output_pipe("rows", mode="bytes") as out:
            out.writelines([b"a\0b", bytearray(b"c"), memoryview(b"d\xff")])
            with pytest.raises(otto.UsageError, match="one line"):
                out.write(bytearray(b"a\n"))

    producer = threading.Thread(target=produce)
    producer.start()
    assert list(otto.input_pipe("rows", mode="bytes")) == [b"a\0b", b"c", b"d\xff"]
    producer.join()


def test_a_carriage_return_belongs_to_its_line(feed: Feed) -> None:
    feed(b"a\r\n\r\nb")
    assert list(otto.input_pipe("rows", mode="text")) == ["a\r", "\r", "b"]


def test_json_lines_may_end_with_one(feed: Feed) -> None:
    feed(b'{"a": 1}\r\n2\r\n')
    assert list(otto.input_pipe("rows")) == [{"a": 1}, 2]


BAD = {
    b"\xff": "not UTF-8|expected a value",
    b'"ab\xff"': "not UTF-8 at byte 3",
    b'{"\xc3": 1}': "not UTF-8 at byte 2",
    b'"\xed\xa0\x80"': "not UTF-8 at byte 1",
    b'"\\ud800"': "lone surrogate",
    b'"\\udc00\\ud800"': "lone surrogate",
    b"NaN": "expected a value",
    b"[Infinity]": "expected a value",
    b"-": "digit",
    b"01": "begin with 0",
    b'{"a": 1,}': "key",
    b"1 2": "after the value",
    b'"\x00"': "control character",
    b"[" * 129: "deeper than 128",
    b"[" * 100_000: "deeper than 128",
    b"9" * 5000: "digits",
    b"": "too early",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: repr(line[:12]))
def test_what_is_no_json_is_named_with_its_line(feed: Feed, line: bytes) -> None:
    feed(b'{"a": [1]}\n\n'.replace(b"\n\n", b"\n") + line + b'\n{"a": [2]}\n')
    rows = otto.input_pipe("rows")
    assert rows.read() == {"a": [1]}
    with pytest.raises(otto.Corrupt, match=rf"^line 2 of the stream: .*({BAD[line]})") as caught:
        rows.read()
    assert "\n" not in str(caught.value)
    assert rows.read() == {"a": [2]}, "what was half made of the bad line is gone"
    assert rows.read() is None


def test_text_that_is_no_utf8_is_named_with_its_line(feed: Feed) -> None:
    feed(b"a\n\xff\nb\n")
    rows = otto.input_pipe("rows", mode="text")
    assert rows.read() == "a"
    with pytest.raises(otto.Corrupt, match=r"^line 2 of the stream: is not UTF-8"):
        rows.read()
    assert rows.read() == "b"


def test_what_json_says_arrives(feed: Feed) -> None:
    said = {
        "[" * 128 + "]" * 128: None,
        "9" * 4000: int("9" * 4000),
        "-9223372036854775808": -(2**63),
        "9223372036854775808": 2**63,
        "999999999999999999": 10**18 - 1,
        "-1000000000000000000": -(10**18),
        "-0": 0,
        "-0.0": -0.0,
        "1e400": float("inf"),
        "1E2": 100.0,
        "0.1": 0.1,
        '{"a": 1, "b": {"a": [], "a": {}}, "a": 2}': {"a": 2, "b": {"a": {}}},
        '{"": 0, "\\u0061": 1, "é\\n": 2}': {"": 0, "a": 1, "é\n": 2},
        '"\\ud83d\\ude00\\u00e9\\/"': "😀é/",
        '[[], {}, [[1], 2], {"x": [{"y": null}]}]': [[], {}, [[1], 2], {"x": [{"y": None}]}],
        " [ true , false ] ": [True, False],
    }
    feed("\n".join(said).encode())
    rows = list(otto.input_pipe("rows"))
    assert len(rows) == len(said)
    for row, (text, value) in zip(rows[1:], list(said.items())[1:], strict=True):
        assert row == value, text
        assert type(row) is type(value), text


def test_more_keys_than_are_remembered(feed: Feed) -> None:
    """Keys that share a place, that are long, or that look alike at both ends."""
    import json

    keys = [f"key{number}" for number in range(3000)]
    keys += ["x" * length for length in range(70)]
    keys += [f"samehead{number:03}sametail" for number in range(300)]
    objects = [{key: step for key in keys[step % 7 :]} for step in range(10)]
    feed("\n".join(map(json.dumps, objects)).encode())
    assert list(otto.input_pipe("rows")) == objects


def test_keys_are_made_once(feed: Feed) -> None:
    feed(b'{"some key": 1}\n{"some key": 2}\n')
    first, second = otto.input_pipe("rows")
    assert next(iter(first)) is next(iter(second))


def test_memory_is_that_of_the_longest_record(server: otto.Server) -> None:
    """200 MiB in records of 1 MiB and one of 16 MiB."""
    code = (
        "import otto, resource\n"
        "rows = otto.input_pipe('rows', mode='bytes')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "sizes = [len(row) for row in rows]\n"
        "grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before\n"
        "print(len(sizes), sum(sizes), grown)\n"
    )

    def produce() -> None:
        with otto.output_pipe("rows", mode="bytes") as out:
            for number in range(200):
                out.write(b"x" * (16 * MIB if number == 100 else MIB))

    producer = threading.Thread(target=produce)
    producer.start()
    count, total, grown = map(int, python(code).split())
    producer.join()
    assert (count, total) == (200, 215 * MIB)
    # The record in the buffer and as an object, and what is read ahead.
    assert grown << 10 < 2 * 16 * MIB + 4 * MIB


def test_refused_records_leave_nothing_behind(server: otto.Server) -> None:
    loop: list[Any] = []
    loop.append(loop)
    refused = [float("nan"), {"a": float("inf")}, "\ud800", {"\ud800": 1}, loop, {1, 2}, object()]
    deep: Any = 0
    for _ in range(129):
        deep = [deep]

    def produce() -> None:
        with otto.output_pipe("rows") as out:
            for record in [*refused, deep]:
                with pytest.raises((otto.UsageError, TypeError)):
                    out.write([1, {"a": "b"}, record])
            out.write({"kept": (1, 2), 3: None, "é\n": 2**100})

    producer = threading.Thread(target=produce)
    producer.start()
    assert list(otto.input_pipe("rows")) == [{"kept": [1, 2], "3": None, "é\n": 2**100}]
    producer.join()
