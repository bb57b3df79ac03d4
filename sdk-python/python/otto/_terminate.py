"""SIGTERM as a word to a program that asks `otto.cancelled()`. Imported when it first does."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def take_over(note: Callable[[], None]) -> None:
    """Has SIGTERM call `note` where it would end this process; in its main thread."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        # Who started this one ends it by SIGTERM and waits for that.
        return
    if signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return

    def noted(_number: int, _frame: object) -> None:
        note()

    # For a forked child it is as it was. Held back meanwhile, so that none gets lost between.
    masks = []

    def hold() -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))

    def go_on() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, masks.pop())

    def give_back() -> None:
        if signal.getsignal(signal.SIGTERM) is noted:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        go_on()

    signal.signal(signal.SIGTERM, noted)
    os.register_at_fork(before=hold, after_in_parent=go_on, after_in_child=give_back)
