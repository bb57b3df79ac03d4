"""Ctrl-C ends every call that blocks, within a tenth of a second."""

import os
import subprocess
import sys

import otto
import pytest
from conftest import ServerProcess, python

# Interrupts itself as soon as its main thread sleeps in the call, and prints how long that took.
HARNESS = """if True:
    import os, signal, sys, threading, time
    import otto

    def asleep():
        with open(f"/proc/self/task/{os.getpid()}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "S"

    def interrupt():
        entered.wait()
        # Asleep twice in a row, so not merely waiting for the GIL.
        seen = 0
        while seen < 20:
            seen = seen + 1 if asleep() else 0
            time.sleep(0.001)
        global sent
        sent = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)

    def hold():
        # In another thread: locks do not nest.
        lock = otto.lock("held")
        holding = threading.Thread(target=lock.acquire)
        holding.start()
        holding.join()
        return lock

    def reporting(bar):
        # The thread that reports has connected, so it waits for the answer.
        def connected():
            for name in os.listdir("/proc/self/fd"):
                try:
                    if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                        return True
                except FileNotFoundError:
                    pass
            return False

        deadline = time.monotonic() + 10
        while not connected():
            assert time.monotonic() < deadline, "nothing was reported"
            time.sleep(0.001)
        return bar

    entered = threading.Event()
    threading.Thread(target=interrupt, daemon=True).start()
    prepared = eval(sys.argv[1])
    # Given text, eval has Python end by SIGINT although the exception is caught.
    call = compile(sys.argv[2], "call", "eval")
    entered.set()
    try:
        eval(call)
    except KeyboardInterrupt:
        print(time.monotonic() - sent)
    else:
        print("it did not block")
    """


def time_to_interrupt(prepare: str, call: str) -> float:
    """The best of three: the machine may be busy."""
    times = []
    while len(times) < 3 and min(times, default=1) > 0.1:
        run = subprocess.run(
            [sys.executable, "-c", HARNESS, prepare, call],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert run.returncode == 0, run.stderr
        times.append(float(run.stdout))
    return min(times)


CALLS = {
    "wait": ("None", "otto.wait('never')"),
    "wait_mmap": ("None", "otto.wait('t.never', via='mmap')"),
    "region_wait": ("otto.TaskDataRegion.create('t')", "prepared.wait()"),
    "region_wait_key": ("otto.TaskDataRegion.create('t')", "prepared.wait('never', timeout=60)"),
    "dataset_from_pipe": (
        "os.pipe()",
        "otto.put_dataset('d', open(prepared[0], 'rb', buffering=0))",
    ),
    "client_wait": ("otto.OttoClient()", "prepared.wait('never')"),
    "subscription": ("otto.subscribe()", "next(prepared)"),
    "subscription_that_another_thread_reads": (
        "otto.subscribe()",
        "(threading.Thread(target=prepared.__next__, daemon=True).start(), next(prepared))",
    ),
    "lock": ("hold()", "otto.lock('held').acquire()"),
    "barrier": ("None", "otto.barrier('ready', 2)"),
    "wait_async": ("__import__('asyncio')", "prepared.run(otto.wait_async('never'))"),
    "input_without_writer": ("otto.input_pipe('s')", "next(prepared)"),
    "input_without_data": (
        "(otto.input_pipe('s'), os.open(os.environ['OTTO_RUN_DIR'] + '/s.fifo', os.O_RDWR))",
        "list(prepared[0])",
    ),
    "input_that_another_thread_reads": (
        "(otto.input_pipe('s'), os.open(os.environ['OTTO_RUN_DIR'] + '/s.fifo', os.O_RDWR))",
        "(threading.Thread(target=prepared[0].read, daemon=True).start(), prepared[0].read())",
    ),
    "output_of_one_piece": (
        "otto.input_pipe('s'), os.open(os.environ['OTTO_RUN_DIR'] + '/s.fifo', os.O_RDWR)",
        "otto.output_pipe('s', mode='raw').write(bytes(50_000_000))",
    ),
    "output_without_reader": ("None", "otto.output_pipe('s')"),
    "output_that_is_full": (
        "otto.input_pipe('s'), os.open(os.environ['OTTO_RUN_DIR'] + '/s.fifo', os.O_RDWR)",
        "[out.write('x' * 10000) for out in [otto.output_pipe('s')] for _ in range(1000)]",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_waiting(server: otto.Server, name: str) -> None:
    assert time_to_interrupt(*CALLS[name]) < 0.1


STOPPED = {
    "get": ("None", "otto.get('a')"),
    "get_open": ("None", "otto.get_many(['a'] * 2000)"),
    "set_large": ("None", "otto.set('a', 'x' * (8 << 20))"),
    "list": ("None", "otto.OttoClient().list_keys()"),
    "subscribe": ("None", "otto.subscribe()"),
    "progress": ("otto.progress(total=1)", "prepared.close()"),
    "progress_that_is_being_reported": (
        "reporting(otto.progress(total=1))",
        "prepared.close()",
    ),
    "progress_loop_that_is_being_reported": ("otto.progress([])", "list(reporting(prepared))"),
    "cancelled": ("None", "otto.cancelled()"),
    "batch": ("otto.batch()", "(prepared.incr('a'), prepared.send())"),
    "locks": ("None", "otto.locks()"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_server_that_does_not_answer(server_process: ServerProcess, name: str) -> None:
    server_process.stop_answering()
    assert time_to_interrupt(*STOPPED[name]) < 0.1


def test_a_lock_whose_holder_is_stopped(server: otto.Server, tmp_path, monkeypatch) -> None:
    region = otto.TaskDataRegion.create("t")
    region.write_json({})
    monkeypatch.setenv("OTTO_TASK_DIR", str(tmp_path))
    otto.set("t.a", 1, via="files")
    hold = (
        "[fcntl.flock(f, fcntl.LOCK_EX) or f for fcntl in [__import__('fcntl')]"
        " for f in [open(p, 'r+') for p in %r]]"
    )
    control = f"/dev/shm/.otto-{server.run_id}-t.ctl"
    lock = str(tmp_path / ".output.t.lock")
    assert os.path.exists(control)
    assert os.path.exists(lock)
    assert time_to_interrupt(hold % [control], "otto.set('t.b', 1, via='mmap')") < 0.1
    assert time_to_interrupt(hold % [lock], "otto.set('t.b', 1, via='files')") < 0.1
    assert otto.get_many(["t.a", "t.b"], via="files") == [1, None]


COPIES = {
    "bytes": "otto.put_dataset('d', given)",
    "scattered": "otto.put_dataset('d', memoryview(given)[::2])",
    "in place": "otto.create_dataset('d', 'u1', len(given)).__enter__().sum()",
}


@pytest.mark.parametrize("name", COPIES)
def test_a_long_copy(server: otto.Server, name: str) -> None:
    code = f"""if True:
        import os, otto, signal, threading, time

        def begun():
            for descriptor in os.listdir("/proc/self/fd"):
                try:
                    # The file that is being filled, which has no name yet.
                    if os.readlink(f"/proc/self/fd/{{descriptor}}").startswith("/dev/shm/#"):
                        return True
                except FileNotFoundError:
                    pass

        def interrupt():
            while not begun():
                pass
            global sent
            sent = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)

        given = bytes(768 << 20)
        otto.put_dataset("d", b"old")
        threading.Thread(target=interrupt, daemon=True).start()
        try:
            {COPIES[name]}
        except KeyboardInterrupt:
            print(time.monotonic() - sent)
        assert bytes(otto.get_dataset("d")) == b"old"
        """
    assert min(float(python(code)) for _ in range(3)) < 0.1


def test_after_an_interrupt_the_next_call_works(server: otto.Server) -> None:
    code = (
        "import otto, os, signal, threading\n"
        "otto.set('a', 1)\n"
        "threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()\n"
        "try: otto.wait('never')\n"
        "except KeyboardInterrupt: print(otto.get('a'), otto.wait('a'))\n"
    )
    assert python(code) == "1 1\n"


def test_a_signal_handler_runs_and_the_wait_goes_on(server: otto.Server) -> None:
    code = (
        "import otto, os, signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: otto.set('late', 'from the handler'))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "print(otto.wait('late', timeout=20))\n"
    )
    assert python(code) == "from the handler\n"


def test_a_handler_that_closes_what_is_waited_for_and_raises(server: otto.Server) -> None:
    code = (
        "import otto, signal, sys\n"
        "events = otto.subscribe()\n"
        "signal.signal(signal.SIGALRM, lambda *_: (events.close(), sys.exit(7)))\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "try: print('ended', list(events))\n"
        "except SystemExit as exit: print(exit.code, list(events))\n"
    )
    assert python(code) == "7 []\n"


def test_an_interrupt_as_a_stream_goes_that_nobody_closed_is_shown(server: otto.Server) -> None:
    code = """if True:
        import os, otto, signal, sys

        reader = otto.input_pipe("s")
        full = os.open(os.environ["OTTO_RUN_DIR"] + "/s.fifo", os.O_RDWR | os.O_NONBLOCK)
        out = otto.output_pipe("s")
        try:
            while True:
                os.write(full, bytes(4096))
        except BlockingIOError:
            out.write(1)
        signal.signal(signal.SIGALRM, lambda *_: sys.exit(3))
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        sys.unraisablehook = lambda shown: print(shown.exc_type.__name__)
        del out
        """
    assert python(code) == "SystemExit\n"
