"""Deferral of Ctrl-C and SIGTERM until training reaches a point from which it can continue."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def held_back(wanted: bool) -> Iterator[list[int]]:
    """Yield a list that records a first Ctrl-C instead of raising; a second Ctrl-C raises as usual.

    SIGTERM, which clusters send before they reclaim a machine, is held back, too, and ends the process
    afterwards. Outside the main thread, where signals cannot be caught, and where the user has installed
    handlers, nothing is held back and the list stays empty.
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
