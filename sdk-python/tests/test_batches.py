"""Lists, times to live, and several changes as one."""

import threading

import otto
import pytest
from conftest import ServerProcess


def test_elements_are_added_at_the_end(via: str) -> None:
    assert otto.append("t.log", {"a": [1]}) == 1
    assert otto.append("t.log", "two") == 2
    assert otto.get("t.log") == [{"a": [1]}, "two"]
    otto.set("t.given", [1, 2])
    assert otto.append("t.given", None) == 3
    assert otto.get("t.given") == [1, 2, None]
    otto.set("t.text", "abc")
    with pytest.raises(otto.OttoError):
        otto.append("t.text", 1)
    with pytest.raises(TypeError):
        otto.append("t.log", object())


def test_no_element_of_many_threads_is_lost(server: otto.Server) -> None:
    def work(number: int) -> None:
        for step in range(100):
            otto.append("log", [number, step])

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log = otto.get("log")
    assert sorted(log) == [[number, step] for number in range(8) for step in range(100)]
    for number in range(8):
        assert [step for who, step in log if who == number] == list(range(100))


def test_what_has_a_time_to_live_goes_when_it_is_over() -> None:
    with otto.serve(task="t"):
        events = otto.subscribe("t.*", timeout=10)
        otto.set("short", 1, ttl=0.05)
        otto.set("long", 1, ttl=1000)
        otto.set("kept", 1)
        assert 990 < (otto.ttl("t.long") or 0) <= 1000
        assert otto.ttl("t.kept") is None
        expired = next(event for event in events if event.event == "delete")
        assert (expired.key, expired.value, expired.expired) == ("t.short", None, True)
        assert otto.get("t.short", default=None) is None
        with pytest.raises(KeyError):
            otto.ttl("t.short")
        otto.delete("t.kept")
        removed = next(event for event in events if event.event == "delete")
        assert (removed.key, removed.expired) == ("t.kept", False)
        otto.set("long", 2)
        assert otto.ttl("t.long") is None, "set again it stays"


def test_a_time_to_live_goes_with_conditions(server: otto.Server) -> None:
    otto.set("a", 1, ttl=100, if_absent=True)
    with pytest.raises(otto.ConditionFailed, match=r"^exists: a$"):
        otto.set("a", 2, ttl=100, if_absent=True)
    revision, _ = otto.get_with_revision("a")
    otto.set("a", 3, ttl=100, if_revision=revision)
    with pytest.raises(otto.ConditionFailed, match=r"^conflict: a$"):
        otto.set("a", 4, ttl=100, if_revision=revision)
    assert otto.get("a") == 3


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e10])
def test_a_time_that_is_none_is_refused(server: otto.Server, ttl: float) -> None:
    with pytest.raises(otto.UsageError, match="ttl"):
        otto.set("a", 1, ttl=ttl)
    with pytest.raises(otto.UsageError, match="ttl"):
        otto.batch().set("a", 1, ttl=ttl)
    assert otto.list_keys() == []


def test_the_server_alone_has_these(server: otto.Server, tmp_path, monkeypatch) -> None:
    with pytest.raises(otto.UsageError, match="server"):
        otto.set("t.a", 1, ttl=1, via="mmap")
    monkeypatch.setenv("OTTO_VIA", "files")
    monkeypatch.setenv("OTTO_TASK_DIR", str(tmp_path))
    otto.set("t.a", 1, ttl=100)
    assert otto.ttl("t.a") is not None, "the server is there still"


def test_a_batch_is_sent_at_its_end() -> None:
    with otto.serve(task="t"), otto.subscribe(timeout=10) as events:
        with otto.batch() as batch:
            batch.set("a", {"x": 1})
            batch.set("b", 2, scope="global", ttl=50)
            batch.incr("n", 41)
            batch.incr("n")
            batch.append("log", "one")
            batch.delete("nothing")
            assert len(batch) == 6
            assert batch
            assert batch.results is None
            assert otto.list_keys() == []
        seen = [next(events) for _ in range(5)]
        assert [event.key for event in seen] == ["t.a", "b", "n", "n", "log"]
        assert [event.event for event in seen] == ["set", "set", "set", "set", "append"]
        assert batch.results == [seen[0].seq, seen[1].seq, 41, 42, 1, False]
        assert otto.get_many(["t.a", "b", "n", "log"]) == [{"x": 1}, 2, 42, ["one"]]
        assert 49 < (otto.ttl("b") or 0) <= 50


def test_nothing_is_sent_when_the_block_raises(server: otto.Server) -> None:
    with pytest.raises(LookupError), otto.batch() as batch:
        batch.set("a", 1)
        raise LookupError
    assert otto.list_keys() == []
    assert batch.results is None
    with pytest.raises(otto.UsageError, match="sent already"):
        batch.send()


def test_all_or_none(server: otto.Server) -> None:
    otto.set("taken", 1)
    otto.set("text", "abc")

    def wrong_condition(batch: otto.Batch) -> None:
        batch.set("taken", 2, if_absent=True)

    def wrong_type(batch: otto.Batch) -> None:
        batch.incr("text")

    for break_it, error in (wrong_condition, otto.ConditionFailed), (wrong_type, otto.OttoError):
        with pytest.raises(error), otto.batch() as batch:
            batch.set("a", 1)
            batch.delete("taken")
            batch.set("taken", 5)
            break_it(batch)
        assert batch.results is None
        assert otto.list_keys() == ["taken", "text"]
        assert otto.get("taken") == 1


def test_a_batch_without_a_block(server: otto.Server) -> None:
    batch = otto.OttoClient(task_name="who").batch()
    assert batch.send() == []
    with pytest.raises(otto.UsageError, match="sent already"):
        batch.incr("a")
    batch = otto.OttoClient(task_name="who").batch()
    batch.set("a", 1)
    batch.set("b", 2, scope="global")
    assert len(batch.send()) == 2
    assert otto.list_keys() == ["b", "who.a"]
    with otto.batch() as batch:
        batch.incr("n")
        batch.send()
    assert otto.get("n") == 1, "sent once"


def test_nobody_sees_half_of_a_batch(server: otto.Server) -> None:
    events = otto.subscribe(timeout=10)

    def write() -> None:
        for _ in range(100):
            with otto.batch() as batch:
                batch.incr("left")
                batch.incr("right")

    writers = [threading.Thread(target=write, daemon=True) for _ in range(4)]
    for writer in writers:
        writer.start()
    for number in range(1, 401):
        left, right = next(events), next(events)
        assert (left.key, left.value, right.key, right.value) == ("left", number, "right", number)
        assert right.seq == left.seq + 1
    for writer in writers:
        writer.join(10)


def test_bad_arguments_say_what_is_wrong(server: otto.Server) -> None:
    batch = otto.batch()
    with pytest.raises(otto.UsageError, match="not both"):
        batch.set("a", 1, if_absent=True, if_revision=3)
    with pytest.raises(otto.UsageError, match="scope"):
        batch.set("a", 1, scope="planet")  # type: ignore[arg-type]
    with pytest.raises(otto.UsageError):
        batch.delete("a b")
    with pytest.raises(TypeError):
        batch.append("a", {1, 2})
    assert len(batch) == 0


def test_without_a_run_or_its_server(server_process: ServerProcess, monkeypatch) -> None:
    batch = otto.batch()
    batch.set("a", 1)
    server_process.kill()
    with pytest.raises(otto.Unreachable):
        batch.send()
    monkeypatch.delenv("OTTO_SOCKET")
    for call in otto.batch, lambda: otto.ttl("a"), otto.locks, otto.cancel:
        with pytest.raises(otto.NoRun):
            call()
