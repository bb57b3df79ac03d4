"""Progress and signals: handlers that use the bar they interrupt, and what they raise."""

import subprocess
import sys

import otto
import pytest
from conftest import ServerProcess, eventually, python
from test_progress import bars

# Says where it hangs, rather than have the test wait for its end.
GUARD = """import faulthandler, os, signal, sys, time, otto
faulthandler.dump_traceback_later(20, exit=True)

def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    while open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "T":
        time.sleep(0.001)

"""


def test_a_handler_may_close_the_bar_whose_close_it_interrupts(
    server_process: ServerProcess,
) -> None:
    code = """if True:
        def handler(*_):
            bar.close()
            bar.update(1, message="interrupted")
            bar.total = 5
            handled.append(bar.current)

        bar, handled = otto.progress(total=3, description="bar"), []
        signal.signal(signal.SIGALRM, handler)
        stop(int(sys.argv[1]))
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        bar.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert handled == [n + 1 for n in range(len(handled))] and handled, handled
    """
    python_with(code, server_process)


def python_with(code: str, server: ServerProcess, status: int = 0) -> str:
    """What Python says on standard error, told of the server's process, for it to stop."""
    run = subprocess.run(
        [sys.executable, "-c", GUARD + code, str(server.process.pid)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == status, run.stderr
    return run.stderr


def test_many_signals_meet_many_bars(server: otto.Server) -> None:
    code = """if True:
        bar = None
        signal.signal(signal.SIGALRM, lambda *_: bar and bar.close())
        signal.setitimer(signal.ITIMER_REAL, 0.0013, 0.0013)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            bar = otto.progress(total=3)
            bar.update(2)
            bar.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
    """
    python(GUARD + code)


@pytest.mark.parametrize("place", ["close", "loop"])
def test_a_handler_may_close_the_bar_and_exit(server_process: ServerProcess, place: str) -> None:
    code = """if True:
        def handler(*_):
            bar.close()
            sys.exit(3)

        bar = otto.progress(total=3, description="bar")
        bar.update(2)
        signal.signal(signal.SIGALRM, handler)
        stop(int(sys.argv[1]))
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        if "PLACE" == "close":
            bar.close()
        while True:
            signal.pause()
    """
    said = python_with(code.replace("PLACE", place), server_process, status=3)
    assert said.startswith("bar: 2/3"), said
    assert said.count("\n") == 1
    server_process.go_on()
    eventually(lambda: bars()["bar"]["current"] == 2)


def test_what_a_handler_raises_during_the_last_report_of_a_loop_is_raised(
    server_process: ServerProcess,
) -> None:
    code = """if True:
        class Raised(BaseException): pass

        def handler(*_):
            raise Raised

        def loop():
            for number in otto.progress(range(10), description="bar"):
                if number == 4:
                    signal.setitimer(signal.ITIMER_REAL, 0.2)
                    break

        signal.signal(signal.SIGALRM, handler)
        stop(int(sys.argv[1]))
        end = time.monotonic() + 10
        try:
            loop()
            while time.monotonic() < end:
                time.sleep(0.01)
        except Raised:
            sys.exit(5)
    """
    said = python_with(code, server_process, status=5)
    assert said.startswith("bar: 4/10"), said


def test_a_loop_that_is_left_while_the_server_is_stopped_tells_it_later(
    server_process: ServerProcess,
) -> None:
    def loop() -> None:
        for number in otto.progress(range(10), description="left"):
            if number == 4:
                break

    server_process.stop_answering()
    loop()
    server_process.go_on()
    eventually(lambda: bars().get("left", {}).get("current") == 4)


def test_ctrl_c_during_close_loses_no_state(server_process: ServerProcess) -> None:
    code = """if True:
        bar = otto.progress(total=3, description="bar")
        bar.update(2)
        stop(int(sys.argv[1]))
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            bar.close()
        except KeyboardInterrupt:
            os.kill(int(sys.argv[1]), signal.SIGCONT)
            sys.exit(7)
    """
    assert python_with(code, server_process, status=7) == ""
    assert bars()["bar"]["current"] == 2
