"""What `import otto` costs, and what it leaves alone."""

import os
import subprocess
import sys

import otto
from conftest import python


def test_importing_otto_imports_next_to_nothing() -> None:
    code = "import sys; b = set(sys.modules); import otto; print(*sorted(set(sys.modules) - b))"
    assert python(code).split() == [
        "__future__",
        "atexit",
        "otto",
        "otto._awaiting",
        "otto._datasets",
        "otto._otto",
        "otto._streams",
        "otto.errors",
    ]


def test_importing_otto_takes_less_than_ten_milliseconds() -> None:
    code = (
        "import time; start = time.perf_counter(); import otto\nprint(time.perf_counter() - start)"
    )
    assert min(float(python(code)) for _ in range(5)) < 0.010


def test_values_and_datasets_need_no_json_module(server: otto.Server) -> None:
    """It takes longer to import than opening a dataset may take."""
    code = (
        "import array, otto, sys\n"
        "for value in ['text', 5, 1.5, True, None, [1, {'a': 'b'}]]:\n"
        "    otto.set('a', value)\n"
        "    assert otto.get('a') == value\n"
        "otto.put_dataset('b', array.array('d', [0.5]))\n"
        "assert otto.open_dataset('b').shape == (1,)\n"
        "print('json' in sys.modules)"
    )
    assert python(code) == "False\n"


def test_star_import_and_names() -> None:
    namespace: dict[str, object] = {}
    exec("from otto import *", namespace)
    assert set(otto.__all__) <= set(namespace)
    assert otto.__all__ == sorted(otto.__all__)
    public = {name for name in vars(otto) if not name.startswith("_")}
    assert public - set(otto.__all__) == {"errors"}


def test_the_errors_are_what_python_expects() -> None:
    bases = {
        otto.NotFound: KeyError,
        otto.TimedOut: TimeoutError,
        otto.UsageError: ValueError,
        otto.Corrupt: ValueError,
        otto.NoRun: RuntimeError,
        otto.Unreachable: ConnectionError,
        otto.StreamClosed: BrokenPipeError,
        otto.SystemRefused: OSError,
    }
    for error, base in bases.items():
        assert issubclass(error, otto.OttoError)
        assert issubclass(error, base)
        assert str(error("plain text")) == "plain text"
    refused = otto.SystemRefused(28, "no room")
    assert (str(refused), refused.errno) == ("no room", 28)


def test_an_uncaught_error_ends_with_its_line() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import otto; otto.get('a')"],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "OTTO_SOCKET"},
    )
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith("otto.errors.NoRun: no run here: ")
