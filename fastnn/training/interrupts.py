"""Ctrl-C and SIGTERM, held back until training has reached a point from which it can continue."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def held_back(wanted: bool) -> Iterator[list[int]]:
    """Give a list that fills when Ctrl-C is pressed, instead of raising; pressed again, it raises as usual.

    SIGTERM, which clusters send before they take a machine away, is held back likewise; it ends the process
    afterwards. Signals can only be caught in the main thread, and handlers of the user's own are left alone:
    the list then stays empty.
    """
    pressed: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    defaults: dict[int, Any] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
    }
    if not (wanted and in_main and all(signal.getsignal(s) is how for s, how in defaults.items())):
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    for number in defaults:
        signal.signal(number, note)
    try:
        yield pressed
    finally:
        for number, handler in defaults.items():
            signal.signal(number, handler)
        if signal.SIGTERM in pressed:
            signal.raise_signal(signal.SIGTERM)
