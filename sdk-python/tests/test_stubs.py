"""The stubs say what the module is."""

import os
import subprocess
import sys

import otto
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ALLOW = "--allowlist=" + os.path.join(HERE, "..", "stubtest-allowed.txt")


def test_stubtest(tmp_path) -> None:
    pytest.importorskip("mypy")
    run = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "otto", "--ignore-unused-allowlist", ALLOW],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": os.path.dirname(os.path.dirname(otto.__file__))},
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_type_checker_knows_what_comes_back(tmp_path) -> None:
    pytest.importorskip("mypy")
    pytest.importorskip("numpy")
    example = tmp_path / "example.py"
    example.write_text(
        "import otto\n"
        "for word in otto.progress(['a', 'b']):\n"
        "    reveal_type(word)\n"
        "with otto.serve(), otto.subscribe() as events:\n"
        "    reveal_type(next(events).seq)\n"
        "try:\n"
        "    otto.get('a', via='carrier pigeon')\n"
        "except otto.NotFound as error:\n"
        "    key_error: KeyError = error\n"
        "import numpy\n"
        "otto.put_dataset('a', numpy.zeros(3))\n"
        "otto.put_dataset('a', numpy.float64(3))\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), str(example)],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": os.path.dirname(os.path.dirname(otto.__file__))},
    )
    assert 'Revealed type is "str"' in run.stdout or 'Revealed type is "builtins.str"' in run.stdout
    assert 'Revealed type is "int"' in run.stdout or 'Revealed type is "builtins.int"' in run.stdout
    assert run.stdout.count("error:") == 1, run.stdout
    assert "No overload variant" in run.stdout
