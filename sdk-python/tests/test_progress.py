"""Progress: over the socket, on standard error, in every kind of loop."""

import os
import subprocess
import sys
from typing import Any

import otto
import pytest
from conftest import eventually, python


def bars() -> dict[str, Any]:
    return {bar["id"]: bar for bar in otto.stats()["progress"]}


def test_a_loop_reports_its_end(server: otto.Server) -> None:
    assert list(otto.progress([5, 6, 7], description="rows")) == [5, 6, 7]
    bar = bars()["rows"]
    assert (bar["current"], bar["total"]) == (3, 3)


def test_a_generator_has_no_total(server: otto.Server) -> None:
    assert sum(otto.progress((n for n in range(10)), description="g")) == 45
    assert (bars()["g"]["current"], bars()["g"]["total"]) == (10, None)
    assert sum(otto.progress(iter([1, 2]), total=4, description="t")) == 3
    assert bars()["t"]["total"] == 4


def test_what_was_reached_is_told_while_the_loop_is_busy(server: otto.Server) -> None:
    bar = otto.progress(total=10, description="busy")
    bar.update(3, message="reading")
    found = eventually(lambda: bars().get("busy", {}).get("current") == 3 and bars()["busy"])
    assert (found["total"], found["message"]) == (10, "reading")
    bar.update()
    eventually(lambda: bars()["busy"]["current"] == 4)
    bar.current = 8
    bar.total = 20
    eventually(lambda: bars()["busy"]["total"] == 20)
    assert (bar.current, bar.total) == (8, 20)
    bar.close()
    bar.close()


@pytest.mark.parametrize("how", ["break", "raise", "item"])
def test_a_loop_that_does_not_end_reports_how_far_it_came(server: otto.Server, how: str) -> None:
    def items():
        yield from range(5)
        raise LookupError

    def loop() -> None:
        for item in otto.progress(items(), description=how):
            if item == 3 and how == "break":
                break
            if item == 3 and how == "raise":
                raise LookupError

    try:
        loop()
    except LookupError:
        assert how != "break"
    assert bars()[how]["current"] == (5 if how == "item" else 3)


def test_bars_that_are_open_at_once_have_names_of_their_own(server: otto.Server) -> None:
    for _ in otto.progress(range(2)):
        for _ in otto.progress(range(3)):
            for _ in otto.progress(range(4), description="deep"):
                pass
    assert {name: bar["current"] for name, bar in bars().items()} == {"": 2, "2": 3, "deep": 4}
    rows = [otto.progress(description="rows") for _ in range(3)]
    rows[1].close()
    rows.append(otto.progress(description="rows"))
    rows[3].update(7)
    for bar in rows:
        bar.close()
    assert bars()["rows 2"]["current"] == 7
    assert {"rows", "rows 2", "rows 3"} <= bars().keys()
    otto.progress(total=5).update(1)
    assert bars()[""]["total"] == 5


def test_a_loop_that_is_left_open_in_a_worker_reports_its_end(server: otto.Server) -> None:
    code = (
        "import multiprocessing, otto\n"
        "def work():\n"
        "    global bar\n"
        "    bar = otto.progress(total=9, description='worker'); bar.update(4)\n"
        "child = multiprocessing.get_context('fork').Process(target=work)\n"
        "child.start(); child.join()\n"
    )
    python(code)
    assert bars()["worker"]["current"] == 4


def test_it_reports_at_most_twenty_times_a_second(server: otto.Server) -> None:
    import time

    before, start = otto.stats()["requests"], time.monotonic()
    for _ in otto.progress(range(300_000)):
        pass
    sent = otto.stats()["requests"] - before
    assert sent <= 3 + 20 * (time.monotonic() - start)


def test_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    with otto.serve(task="build"):
        with otto.progress(total=2) as bar:
            bar.update(2)
        assert otto.stats()["progress"][0]["task"] == "build"


def test_outside_a_run_it_goes_to_standard_error() -> None:
    code = "import otto\nfor _ in otto.progress(range(3), description='rows'): pass"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "")
    assert run.stderr.startswith("rows: 3/3 (100%)")
    assert run.stderr.count("\n") == 1


def test_on_a_terminal_one_line_is_drawn_over_itself() -> None:
    import pty

    code = "import otto\nfor _ in otto.progress(range(3)): pass"
    controller, terminal = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=terminal, check=True)
    os.close(terminal)
    shown = os.read(controller, 4096).decode()
    os.close(controller)
    assert shown.startswith("\rprogress: ")
    assert "3/3 (100%)" in shown
    assert shown.endswith("\x1b[K\r\n")


def test_a_server_that_is_gone_is_no_error(server_process) -> None:
    bar = otto.progress(total=3)
    bar.update()
    server_process.kill()
    bar.update()
    bar.close()


def test_it_reports_to_the_server_there_was_when_it_began(
    server: otto.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is read then, with the GIL held: a thread may be changing it later."""
    bar = otto.progress(total=3, description="early")
    monkeypatch.delenv("OTTO_SOCKET")
    bar.update(2)
    bar.close()
    monkeypatch.undo()
    assert bars()["early"]["current"] == 2


def test_the_environment_may_change_while_bars_begin() -> None:
    code = """if True:
        import os, time, otto
        for number in range(200):
            os.environ[f"BEFORE{number}"] = "x"
        number, open_bars, end = 0, [], time.monotonic() + 3
        while time.monotonic() < end:
            for _ in range(100):
                open_bars.append(otto.progress(total=3))
                open_bars[-1].update(1)
            until = time.monotonic() + 0.12
            while time.monotonic() < until:
                os.environ[f"NEW{number}"] = "y"
                number += 1
            open_bars.clear()
    """
    python(code)


def test_left_open_it_reports_at_exit(server: otto.Server) -> None:
    python("import otto; p = otto.progress(total=9, description='open'); p.update(4)")
    assert bars()["open"]["current"] == 4


def test_what_is_no_number_changes_nothing() -> None:
    with otto.progress(total=100) as bar:
        bar.update(50)
        bar.update(float("nan"))
        assert bar.current == 50
        bar.current = float("nan")
        assert bar.current == 50


def test_odd_numbers_do_no_harm(server: otto.Server) -> None:
    with otto.progress(total=float("inf"), description="odd") as bar:
        bar.update(float("nan"))
        bar.update(float("-inf"))
        bar.update(2.5)
    assert bars()["odd"]["current"] == 2.5
    with pytest.raises(TypeError):
        iter(otto.progress())  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        otto.progress(5)  # type: ignore[call-overload]
