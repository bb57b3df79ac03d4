"""Blocks that hold a lock: how they are left, where, and by whom."""

import pytest
from conftest import ServerProcess, python


@pytest.mark.parametrize(
    ("sent", "raised"), [("SIGINT", "KeyboardInterrupt"), ("SIGTERM", "SystemExit")]
)
def test_a_signal_while_a_failed_block_is_left(
    server_process: ServerProcess, sent: str, raised: str
) -> None:
    """The server is stopped, so that giving the lock back waits until the signal comes."""
    code = f"""if True:
        import os, signal, sys, threading, time
        import otto

        def state(path):
            with open(path + "/stat") as stat:
                return stat.read().rpartition(")")[2].split()[0]

        def interrupt():
            # Asleep twice in a row, so not merely waiting for the GIL.
            seen = 0
            while seen < 20:
                seen = seen + 1 if state(f"/proc/self/task/{{os.getpid()}}") == "S" else 0
                time.sleep(0.001)
            os.kill(os.getpid(), signal.{sent})

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        try:
            with otto.lock("db"):
                os.kill({server_process.process.pid}, signal.SIGSTOP)
                while state("/proc/{server_process.process.pid}") != "T":
                    pass
                threading.Thread(target=interrupt, daemon=True).start()
                raise LookupError
        except BaseException as error:
            print(type(error).__name__, type(error.__context__).__name__)
        """
    assert python(code) == f"{raised} LookupError\n"
