"""`OttoClient`, events and figures."""

import contextlib
import os
import threading

import otto
import pytest


def test_the_seeds_usage_block() -> None:
    with otto.serve(task="task_a"):
        otto.OttoClient().set("unrelated", 1)
        other = otto.OttoClient(task_name="build")
        other.set("version", "2.0")
        # As the seed has it, but for the name.
        client = otto.OttoClient()
        client.set("version", "1.2.3")
        client.set("status", "building")
        build_version = client.get("build.version")
        assert build_version == "2.0"
        assert client.get("task_a.status") == "building"
        assert client.get("nothing.here") is None
        keys = ["build.version", "task_a.status", "task_a.unrelated", "task_a.version"]
        assert client.list_keys() == keys


def test_every_method(server: otto.Server) -> None:
    with otto.OttoClient() as client:
        assert client.socket_path == server.socket
        assert client.task_name is None
        assert client.set("a", [1]) is True
        assert client.get("a") == [1]
        assert client.get("b", default=2) == 2
        assert client.get_many(["a", "b"]) == [[1], None]
        revision, _ = client.get_with_revision("a")
        assert client.set("a", 2, if_revision=revision)
        with pytest.raises(otto.ConditionFailed):
            client.set("a", 2, if_absent=True)
        assert client.wait("a", timeout=1) == 2
        assert client.wait("never", 0.01, default=None) is None
        assert client.incr("n", 3) == 3
        client.delete("n")
        assert client.list_keys("a*") == ["a"]
        assert client.stats()["keys"] == 1
        with client.subscribe("c*") as events:
            client.publish("channel", {"x": 1})
            assert next(events).value == {"x": 1}
    assert client.get("a") == 2, "close() closes connections, not the client"


def test_two_servers_by_path(server: otto.Server, server_process) -> None:
    other = otto.OttoClient(server_process.environment["OTTO_SOCKET"])
    mine = otto.OttoClient(server.socket)
    other.set("where", "there")
    mine.set("where", "here")
    assert (other.get("where"), mine.get("where")) == ("there", "here")


def test_events_come_in_order_with_their_numbers(server: otto.Server) -> None:
    events = otto.subscribe("build.*", timeout=10)
    otto.set("build.a", {"deep": [1]})
    otto.set("test.a", 1)
    otto.delete("build.a")
    otto.publish("build.news", "text")
    found = [next(events) for _ in range(3)]
    assert [(event.event, event.key, event.value) for event in found] == [
        ("set", "build.a", {"deep": [1]}),
        ("delete", "build.a", None),
        ("publish", "build.news", "text"),
    ]
    numbers = [event.seq for event in found]
    assert numbers == sorted(numbers)
    assert repr(found[2]).startswith("Event(seq=")


def test_waiting_for_an_event_ends_at_the_timeout_and_may_go_on(server: otto.Server) -> None:
    events = otto.subscribe(timeout=0.02)
    with pytest.raises(otto.TimedOut):
        next(events)
    otto.set("a", 1)
    assert next(events).key == "a"


def test_closing_ends_the_loop_of_another_thread(server: otto.Server) -> None:
    events = otto.subscribe()
    seen: list[str] = []
    first = threading.Event()

    def listen() -> None:
        for event in events:
            seen.append(event.key)
            first.set()

    listener = threading.Thread(target=listen)
    listener.start()
    otto.set("a", 1)
    assert first.wait(10)
    events.close()
    listener.join(10)
    assert not listener.is_alive()
    assert seen == ["a"]
    assert list(events) == []


def test_the_servers_end_ends_a_subscription_with_an_error(server_process) -> None:
    events = otto.subscribe(timeout=0.3)
    server_process.kill()
    # It is looked for, for ten seconds.
    with pytest.raises(otto.TimedOut):
        next(events)
    if "OTTO_SOAK" in os.environ:
        with pytest.raises(otto.Unreachable):
            for _ in range(40):
                with contextlib.suppress(otto.TimedOut):
                    next(events)


def test_many_threads_share_a_client(server: otto.Server) -> None:
    client = otto.OttoClient()

    def work(number: int) -> None:
        for step in range(200):
            client.set(f"t{number}", step)
            assert client.get(f"t{number}") == step
            client.incr("sum")

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("sum") == 1600


def test_the_socket_may_be_told_as_a_path(server: otto.Server, tmp_path) -> None:
    link = tmp_path / "link.sock"
    os.symlink(server.socket or "", link)
    client = otto.OttoClient(link)
    client.set("a", 1)
    assert otto.get("a") == 1
