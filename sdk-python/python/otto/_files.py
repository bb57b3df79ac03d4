"""Files, published as they are. Imported where one is, and not before."""

from __future__ import annotations

import contextlib
import io
import os
from typing import Any

from otto import _otto


def put(name: str, source: Any, spill: bool) -> None:
    """Publishes the file at a path, or what is left of an open one, which is at its end then."""
    if isinstance(source, os.PathLike):
        with open(source, "rb", buffering=0) as file:
            _put(name, file, spill)
    else:
        _put(name, source, spill)


def _put(name: str, file: Any, spill: bool) -> None:
    if not _can_be_opened_again(file):
        data = file.read()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"a dataset is bytes, and this file gives {type(data).__name__}")
        _otto.put_elements(name, data, None, spill)
    elif file.seekable():
        _otto.put_file(name, file.fileno(), file.tell(), b"", spill)
        # Those of /proc have no end to go to.
        with contextlib.suppress(OSError):
            file.seek(0, io.SEEK_END)
    else:
        # What is in Python's buffer is no longer in the pipe.
        head = b"" if type(file) is io.FileIO else file.read(len(file.peek()))
        _otto.put_file(name, file.fileno(), None, head, spill)


def _can_be_opened_again(file: Any) -> bool:
    """Whether the kernel can copy it: what it holds is what reading it gives."""
    raw = file.raw if type(file) in (io.BufferedReader, io.BufferedRandom) else file
    if type(raw) is not io.FileIO or not raw.readable():
        return False
    try:
        os.close(os.open(f"/proc/self/fd/{raw.fileno()}", os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        # A socket, or a file that this user could not have opened.
        return False
    return True
