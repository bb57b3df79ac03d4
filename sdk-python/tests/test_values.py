"""Values over every transport."""

import enum
import json
import math
import random

import otto
import pytest
from conftest import python

NASTY = [
    "",
    "1.10",
    " leading and trailing ",
    "line\nbreak\r\n\ttab",
    "\"quotes' $HOME `date` \\ \x00\x01\x7f\u2028",
    "é😀\U0010ffff\ufeff",
    "x" * (1 << 20),
    0,
    -5,
    2**53 + 1,
    2**63 - 1,
    -(2**63),
    2**64,
    10**400,
    0.1,
    -0.0,
    1e16,
    5e-324,
    1.7976931348623157e308,
    True,
    False,
    None,
    [],
    {},
    {"": {"a": [1, {"b": None, "ü": "\n"}]}, "z": 1, "a": 2},
    [[[[[[[[]]]]]]]],
]


@pytest.mark.parametrize("value", NASTY, ids=lambda value: repr(value)[:20])
def test_a_value_comes_back_as_it_was(via: str, value: object) -> None:
    otto.set("t.value", value)
    found = otto.get("t.value")
    assert found == value
    assert type(found) is type(value)
    assert math.copysign(1, found) == math.copysign(1, value) if value == 0 else True
    assert json.dumps(found) == json.dumps(value), "order of keys"


def test_what_json_reads_differently_is_stored_as_json_says(via: str) -> None:
    class Level(enum.IntEnum):
        HIGH = 3

    class Text(str):
        pass

    for value, expected in [
        ((1, 2), [1, 2]),
        ({1: 2}, {"1": 2}),
        (Level.HIGH, 3),
        (Text("x"), "x"),
    ]:
        otto.set("t.value", value)
        assert otto.get("t.value") == expected


def test_any_json_text_is_read_as_the_json_module_reads_it(server: otto.Server) -> None:
    chance = random.Random(1)
    region = otto.TaskDataRegion.create("texts")
    for _ in range(2000):
        text = json.dumps(anything(chance, 0), ensure_ascii=chance.random() < 0.5)
        region.write(text.encode())
        assert repr(region.read_json()) == repr(json.loads(text)), text
    for text in ["1e400", "-0", "1E5", "1.10", '{"a":1,"b":[],"a":{}}', " [ [ ] , { } ] "]:
        region.write(text.encode())
        assert repr(region.read_json()) == repr(json.loads(text)), text


def anything(chance: random.Random, depth: int) -> object:
    """Some value, at the deepest level a scalar."""
    kind = chance.randrange(8 if depth < 6 else 6)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.randrange(-(10**20), 10**20) // 10 ** chance.randrange(21)
    if kind == 2:
        return chance.uniform(-1, 1) * 10.0 ** chance.randrange(-30, 30)
    if kind < 6:
        return "".join(chance.choices('ab"\\\n\t/é😀日,]}[{: \x00', k=chance.randrange(12)))
    if kind == 6:
        return [anything(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {
        "".join(chance.choices('ab"\\é,]}', k=chance.randrange(4))): anything(chance, depth + 1)
        for _ in range(chance.randrange(5))
    }


@pytest.mark.parametrize(
    ("value", "error", "word"),
    [
        ("\ud800", otto.UsageError, "lone surrogate at character 0"),
        ({"key": ["ab\udfff"]}, otto.UsageError, "lone surrogate"),
        (math.nan, otto.UsageError, "not JSON"),
        (math.inf, otto.UsageError, "not JSON"),
        ([-math.inf], otto.UsageError, "not JSON"),
        (b"bytes", TypeError, "bytes"),
        ({1, 2}, TypeError, "set"),
        (object(), TypeError, "object"),
    ],
)
def test_what_is_no_json_is_refused(via: str, value: object, error: type, word: str) -> None:
    with pytest.raises(error, match=word):
        otto.set("t.value", value)
    assert otto.get("t.value", default=None) is None


def test_nesting_is_bounded(via: str) -> None:
    deep: list = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(otto.UsageError, match="deep"):
        otto.set("t.value", deep)
    deep.append(deep)
    with pytest.raises((otto.UsageError, RecursionError)):
        otto.set("t.value", deep)


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "x" * 513, "\x7f", "\u00a0"])
def test_keys_are_checked(via: str, key: str) -> None:
    with pytest.raises(otto.UsageError) as caught:
        otto.get(key)
    assert isinstance(caught.value, ValueError)
    assert "\n" not in str(caught.value)


def test_a_missing_key(via: str) -> None:
    with pytest.raises(KeyError) as caught:
        otto.get("t.missing")
    assert isinstance(caught.value, otto.NotFound)
    assert str(caught.value) == "no such key: t.missing"
    with pytest.raises(otto.NotFound, match="missing"):
        otto.delete("t.missing")
    assert otto.get("t.missing", 5) == 5
    assert otto.get("t.missing", default=None) is None
    assert otto.get_many(["t.missing"]) == [None]


def test_list_delete_and_increment(via: str) -> None:
    for name in ["t.b", "t.a", "u.a"]:
        otto.set(name, 1)
    assert otto.list_keys() == ["t.a", "t.b", "u.a"]
    assert otto.list_keys("*.a") == ["t.a", "u.a"]
    assert otto.list_keys("t.?") == ["t.a", "t.b"]
    assert otto.list_keys("nothing*") == []
    otto.delete("t.a")
    assert otto.get_many(["t.a", "t.b"], default="gone") == ["gone", 1]
    assert otto.incr("t.b") == 2
    assert otto.incr("t.new", by=-7) == -7
    otto.set("t.text", "41")
    assert otto.incr("t.text") == 42
    otto.set("t.float", 1.5)
    with pytest.raises(otto.OttoError, match="integer"):
        otto.incr("t.float")
    with pytest.raises(otto.UsageError, match="64-bit"):
        otto.incr("t.b", 2**64)


def test_a_task_sets_its_own_keys(via: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_TASK_NAME", "build")
    otto.set("version", "1")
    otto.set("plain", "2", scope="global")
    assert otto.get("build.version") == "1"
    assert otto.get("plain") == "2"
    with pytest.raises(otto.UsageError, match="scope"):
        otto.set("x", 1, scope="planet")  # type: ignore[arg-type]


def test_if_absent(via: str) -> None:
    otto.set("t.lock", 1, if_absent=True)
    with pytest.raises(otto.ConditionFailed):
        otto.set("t.lock", 2, if_absent=True)
    assert otto.get("t.lock") == 1


def test_revisions(server: otto.Server) -> None:
    otto.set("a", 1)
    revision, value = otto.get_with_revision("a")
    assert value == 1
    otto.set("a", 2, if_revision=revision)
    with pytest.raises(otto.ConditionFailed):
        otto.set("a", 3, if_revision=revision)
    otto.set("new", 1, if_revision=0)
    assert otto.get("a") == 2
    with pytest.raises(otto.NotFound):
        otto.get_with_revision("missing")
    with pytest.raises(otto.UsageError, match="not both"):
        otto.set("a", 3, if_absent=True, if_revision=1)


def test_waiting(via: str) -> None:
    otto.set("t.there", 7)
    assert otto.wait("t.there") == 7
    with pytest.raises(TimeoutError) as caught:
        otto.wait("t.never", timeout=0.05)
    assert isinstance(caught.value, otto.TimedOut)
    assert isinstance(caught.value, OSError)
    assert otto.wait("t.never", timeout=0, default="d") == "d"
    with pytest.raises(otto.UsageError, match="NaN"):
        otto.wait("t.never", timeout=math.nan)
    assert otto.wait("t.there", timeout=1e300) == 7


def test_another_process_sets_what_is_waited_for(via: str) -> None:
    import threading

    def set_elsewhere() -> None:
        python("import otto; otto.set('t.late', 'now')")

    setter = threading.Thread(target=set_elsewhere)
    setter.start()
    assert otto.wait("t.late", timeout=30) == "now"
    setter.join()


def test_many_at_once(server: otto.Server) -> None:
    for number in range(3000):
        otto.set(f"k{number}", number)
    assert otto.get_many(f"k{number}" for number in range(3000)) == list(range(3000))
    assert otto.get_many([]) == []
    with pytest.raises(TypeError):
        otto.get_many([1])  # type: ignore[list-item]


def test_the_transport_can_be_named(server: otto.Server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OTTO_TASK_DIR", str(tmp_path))
    otto.set("t.a", "file", via="files")
    otto.set("t.a", "memory", via="mmap")
    otto.set("t.a", "server")
    assert [otto.get("t.a", via=via) for via in ("files", "mmap", "socket")] == [
        "file",
        "memory",
        "server",
    ]
    assert json.loads((tmp_path / "output.t.json").read_text()) == {"a": "file"}
    with pytest.raises(otto.UsageError, match="carrier"):
        otto.get("t.a", via="carrier pigeon")  # type: ignore[arg-type]


def test_outside_a_run_it_says_how_to_get_one() -> None:
    for call in [
        lambda: otto.get("a"),
        lambda: otto.set("a", 1),
        lambda: otto.subscribe(),
        lambda: otto.TaskDataRegion.open("a"),
        lambda: otto.get_dataset("a"),
        lambda: otto.input_pipe(),
        lambda: otto.output_pipe(),
        lambda: otto.OttoClient().get("a"),
    ]:
        with pytest.raises(otto.NoRun, match=r"otto-serve|streaming"):
            call()


def test_the_server_has_gone(server_process) -> None:
    otto.set("a", 1)
    server_process.kill()
    with pytest.raises(ConnectionError) as caught:
        otto.get("a")
    assert isinstance(caught.value, otto.Unreachable)


def test_a_value_above_the_limit(server: otto.Server) -> None:
    with pytest.raises(otto.OttoError, match="dataset"):
        otto.set("big", "x" * (17 << 20))
    assert otto.get("big", default=None) is None
    otto.set("almost", "x" * (15 << 20))
    assert len(otto.get("almost")) == 15 << 20
