"""A run inside this process, and what is left of it."""

import os
import re
import signal
import subprocess
import sys

import otto
import pytest
from conftest import python


def traces(run: int | None) -> list[str]:
    # Not those of a run whose number only begins with this one.
    ours = re.compile(rf"[.]?otto-{run}([-.]|$)")
    return [
        os.path.join(folder, name)
        for folder in ("/dev/shm", "/tmp")
        for name in os.listdir(folder)
        if ours.match(name)
    ]


def test_the_environment_is_the_runs_and_then_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTTO_TASK_NAME", "outer")
    monkeypatch.setenv("OTTO_VIA", "files")
    before = dict(os.environ)
    with otto.serve() as server:
        assert os.environ["OTTO_SOCKET"] == server.socket
        assert os.environ["OTTO_RUN_DIR"] == server.run_dir
        assert os.environ["OTTO_RUN_ID"] == str(server.run_id) == str(os.getpid())
        assert "OTTO_TASK_NAME" not in os.environ
        assert "OTTO_VIA" not in os.environ
        otto.set("a", 1)
        # A direct child finds the run with getppid, others by the variable.
        assert python("import os, otto; print(otto.get('a'), os.getppid())") == f"1 {os.getpid()}\n"
    assert dict(os.environ) == before


def test_nothing_is_left(server_process) -> None:
    run = int(server_process.environment["OTTO_RUN_ID"])
    otto.set("a", 1)
    otto.TaskDataRegion.create("build").write_json({"a": 1})
    otto.put_dataset("d", b"abc")
    folder = os.environ["OTTO_RUN_DIR"]
    assert os.stat(folder).st_mode & 0o777 == 0o700
    assert all(
        os.stat(path).st_mode & 0o077 == 0 for path in traces(run) if not os.path.islink(path)
    )
    assert traces(run)
    server_process.close()
    assert not traces(run)
    assert not os.path.exists(folder)


def test_after_a_kill_the_next_one_cleans_up(server_process) -> None:
    run = int(server_process.environment["OTTO_RUN_ID"])
    otto.put_dataset("d", b"abc")
    server_process.kill()
    assert traces(run)
    with otto.serve():
        assert not traces(run)
        assert not os.path.exists(server_process.environment["OTTO_RUN_DIR"])


def test_one_at_a_time_and_again_and_again() -> None:
    for _ in range(3):
        server = otto.serve()
        with server:
            with pytest.raises(otto.UsageError, match="serves already"), otto.serve():
                pass
            assert otto.list_keys() == []
            otto.set("a", 1)
    assert server.socket
    assert not os.path.exists(server.socket)


def test_the_block_may_fail() -> None:
    with pytest.raises(ZeroDivisionError), otto.serve() as server:
        _ = 1 / 0
    assert not traces(server.run_id)
    assert "OTTO_SOCKET" not in os.environ


def test_never_ended_it_ends_with_the_interpreter() -> None:
    run = int(python("import otto; s = otto.serve(); s.__enter__(); print(s.run_id)"))
    assert not traces(run)


def test_a_task_name_is_checked() -> None:
    with pytest.raises(otto.UsageError):
        otto.serve(task="a.b")
    with otto.serve(task="build"):
        otto.set("a", 1)
        assert otto.list_keys() == ["build.a"]
        assert os.environ["OTTO_TASK"] == "build"


def test_ctrl_c_in_the_block_leaves_nothing() -> None:
    code = (
        "import otto, signal\n"
        "with otto.serve() as s:\n"
        "    print(s.run_id, flush=True)\n"
        "    otto.wait('never')\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout
    run = int(child.stdout.readline())
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=10)
    assert "KeyboardInterrupt" in errors
    assert not traces(run)
