"""Being asked to end: by the server's word, by SIGTERM, and what stays as it was."""

import signal
import subprocess
import sys
import time
from typing import Any

import otto
import pytest
from conftest import ServerProcess, eventually, python


def test_a_task_and_the_whole_run() -> None:
    with otto.serve(task="build"):
        assert otto.cancelled() is False
        other = otto.OttoClient(task_name="test")
        otto.cancel("build")
        eventually(otto.cancelled)
        assert otto.cancelled() is True
        assert other.cancelled() is False
        other.cancel()
        eventually(other.cancelled)
        assert otto.OttoClient(task_name="new").cancelled() is True
    assert otto.cancelled() is False, "outside a run"
    with otto.serve(task="build"):
        assert otto.cancelled() is False, "in another run"


def test_subscribers_hear_of_it(server: otto.Server) -> None:
    events = otto.subscribe("b*", timeout=10)
    otto.cancel("other")
    otto.cancel("build")
    event = next(events)
    assert (event.event, event.key, event.value) == ("cancel", "build", None)
    with pytest.raises(otto.UsageError):
        otto.cancel("no.task")


def test_the_server_is_asked_ten_times_a_second_at_most(server: otto.Server) -> None:
    otto.cancelled()
    before, start = otto.stats()["requests"], time.monotonic()
    for _ in range(200_000):
        otto.cancelled()
    asked = otto.stats()["requests"] - before - 1
    assert asked <= 2 + 10 * (time.monotonic() - start)


def test_a_server_that_is_gone_is_told(server_process: ServerProcess) -> None:
    otto.OttoClient().cancelled()
    server_process.kill()
    with pytest.raises(otto.Unreachable):
        eventually(otto.OttoClient().cancelled)


def started(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", "import os, otto, signal, sys, threading, time\n" + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, complaints = process.communicate(timeout=30)
    assert not complaints
    return process.returncode, said


LOOP = """
otto.cancelled(); print('ready')
while not otto.cancelled(): {0}
print('cleaned up')
"""


@pytest.mark.parametrize(
    "work", ["pass", "time.sleep(0.01)", "otto.wait('never', 0.01, default=0)"]
)
def test_sigterm_is_a_word_to_who_asks(server: otto.Server, work: str) -> None:
    process = started(LOOP.format(work))
    process.terminate()
    assert ended(process) == (0, "cleaned up\n")


def test_outside_a_run_too() -> None:
    process = started(LOOP.format("time.sleep(0.01)"))
    process.terminate()
    assert ended(process) == (0, "cleaned up\n")


def test_who_never_asks_is_ended(server: otto.Server) -> None:
    process = started("otto.set('a', 1); print('ready')\ntime.sleep(60)")
    process.terminate()
    assert ended(process) == (-signal.SIGTERM, "")


def test_another_handler_stays(server: otto.Server) -> None:
    handler = "signal.signal(signal.SIGTERM, lambda *_: sys.exit('mine'))\n"
    process = started(handler + LOOP.format("time.sleep(0.01)"))
    process.terminate()
    said, complaints = process.communicate(timeout=30)
    assert (process.returncode, said, complaints) == (1, "", "mine\n")
    ignoring = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\notto.cancelled()\n"
    assert python(f"import otto, signal\n{ignoring}print(signal.getsignal(15).name)") == "SIG_IGN\n"


def test_another_thread_changes_no_handler(server: otto.Server) -> None:
    process = started(
        "thread = threading.Thread(target=otto.cancelled); thread.start(); thread.join()\n"
        "print('ready'); time.sleep(60)"
    )
    process.terminate()
    assert ended(process) == (-signal.SIGTERM, "")


def test_forked_children_are_ended_by_it(server: otto.Server, tmp_path) -> None:
    """A pool ends its workers by SIGTERM and waits for them."""
    script = tmp_path / "pool.py"
    script.write_text("""if True:
        import multiprocessing, os, otto, signal, time
        def work(_):
            return otto.cancelled()
        if __name__ == "__main__":
            otto.cancelled()
            for method in "fork", "spawn", "forkserver":
                context = multiprocessing.get_context(method)
                with context.Pool(2) as pool:
                    print(pool.map(work, range(4)))
                for _ in range(30):
                    child = context.Process(target=time.sleep, args=[60])
                    child.start()
                    child.terminate()
                    child.join(20)
                    assert child.exitcode == -signal.SIGTERM, child.exitcode
                    if method != "fork":
                        break
            print(otto.cancelled(), signal.pthread_sigmask(signal.SIG_BLOCK, []))
        """)
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "[False, False, False, False]\n" * 3 + "False set()\n"


def bars() -> dict[str, Any]:
    return {bar["id"]: bar for bar in otto.stats()["progress"]}


@pytest.mark.parametrize("how", ["cancelled", "exit", "raise", "thread"])
def test_the_last_progress_is_not_lost(server: otto.Server, how: str) -> None:
    code = {
        "cancelled": "print('ready')\nwhile not otto.cancelled(): time.sleep(0.001)",
        "exit": "print('ready'); sys.exit(3)",
        "raise": "print('ready'); raise SystemExit(1)",
        "thread": "print('ready'); threading.Thread(target=p.update, args=[1]).start()",
    }[how]
    process = started(
        f"otto.cancelled(); p = otto.progress(total=9, description='{how}'); p.update(4)\n"
        + code
        + "\np.update(1)"
    )
    if how == "cancelled":
        process.terminate()
    ended(process)
    assert bars()[how]["current"] == {"cancelled": 5, "thread": 6}.get(how, 4)
