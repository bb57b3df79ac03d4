"""Progress and servers that fail for a while, or refuse a report."""

import os
import socket
import subprocess
import sys

import otto
import pytest
from conftest import ServerProcess, eventually
from test_progress import bars


class Screen:
    """What has come to standard error."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.text = ""

    def shows(self, text: str) -> bool:
        self.text += self.capfd.readouterr().err
        return text in self.text


@pytest.fixture
def failed(server_process: ServerProcess, capfd: pytest.CaptureFixture[str]) -> otto.Progress:
    """A bar that stands at 2 of 10, of which the server has not taken the second."""
    bar = otto.progress(total=10, description="bar")
    bar.update(1)
    eventually(lambda: bars().get("bar", {}).get("current") == 1)
    server_process.stop_answering()
    bar.update(1)
    screen = Screen(capfd)
    eventually(lambda: screen.shows("bar: 2/10"))
    server_process.go_on()
    return bar


def test_the_last_state_reaches_a_server_that_goes_on(failed: otto.Progress) -> None:
    failed.update(8, message="done")
    failed.close()
    eventually(lambda: bars()["bar"]["current"] == 10)
    assert bars()["bar"]["message"] == "done"


def test_later_states_reach_a_server_that_goes_on(failed: otto.Progress) -> None:
    failed.update(3)
    eventually(lambda: bars()["bar"]["current"] == 5)
    failed.close()


def test_a_lost_connection_is_no_lost_server(server_process: ServerProcess) -> None:
    assert bars() == {}
    others = connections()
    bar = otto.progress(total=10, description="bar")
    bar.update(1)
    eventually(lambda: bars().get("bar", {}).get("current") == 1)
    for descriptor in connections() - others:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    bar.update(6)
    bar.close()
    assert bars()["bar"]["current"] == 7


def connections() -> set[int]:
    """This process's ends of connections to servers."""
    found = set()
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        try:
            if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                if "otto" in str(connection.getpeername()):
                    found.add(descriptor)
        except OSError:
            continue
    return found


def test_a_new_bar_is_remembered_after_ten_thousand(server: otto.Server) -> None:
    for number in range(10_000):
        otto.progress(total=0, description=str(number)).close()
    otto.progress(total=5, description="new").close()
    found = bars()
    assert len(found) == 10_000
    assert "new" in found
    assert "0" not in found


def test_a_message_of_any_length_is_cut(server: otto.Server) -> None:
    bar = otto.progress(total=10, description="bar")
    bar.update(1, message="x" * (17 << 20))
    bar.close()
    assert (bars()["bar"]["current"], bars()["bar"]["message"]) == (1, "x" * 4096)
    with otto.progress(total=1, description="d" * (17 << 20), message="y" * (17 << 20)) as bar:
        bar.update(1)
    assert bars()["d" * 4096]["message"] == "y" * 4096


def test_a_message_on_standard_error_is_one_line() -> None:
    code = "import otto\nwith otto.progress(description='a\\nb', message='c\\x1b[2J\\nd'): pass"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "a b: 0 c [2J d\n")
