"""Ctrl-C, held back until training has come to a place where it can go on from."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def held_back(wanted: bool) -> Iterator[list[int]]:
    """A list that is empty until Ctrl-C is pressed, which then stops nothing; pressed again, it does as ever.

    Signals can only be caught in the main thread, and a handler of the user's own is left alone: the list
    then stays empty.
    """
    pressed: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not (wanted and in_main and before is signal.default_int_handler):
        yield pressed
        return

    def note(number: int, frame) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
