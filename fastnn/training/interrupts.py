"""Deferral of Ctrl-C and of the signals that end a process until training can continue from where it is."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

# What happens at each of them where nobody has changed it.
_DEFAULTS: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _DEFAULTS[signal.SIGHUP] = signal.SIG_DFL


@contextlib.contextmanager
def held_back(wanted: bool) -> Iterator[list[int]]:
    """Yield a list that records the signals that come; the first one interrupts nothing, a second one does.

    SIGTERM, which clusters send before they reclaim a machine, and SIGHUP, which a closed terminal sends, end
    the process afterwards. A signal that is ignored, as SIGINT is in a script's background jobs and SIGHUP
    under nohup, or for which the user has installed a handler, is left alone. Outside the main thread, where
    signals cannot be caught, all of them are.
    """
    pressed: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    held = [number for number, how in _DEFAULTS.items() if signal.getsignal(number) == how]
    if not (wanted and in_main):
        yield pressed
        return
    process = os.getpid()

    def note(number: int, frame: Any) -> None:
        if os.getpid() != process:  # a child that a callback has forked: there is nothing to hold back for
            signal.signal(number, _DEFAULTS[number])
            signal.raise_signal(number)
            return
        pressed.append(number)
        if len(pressed) > 1:
            raise KeyboardInterrupt

    for number in held:
        signal.signal(number, note)
    try:
        yield pressed
    finally:
        for number in held:
            signal.signal(number, _DEFAULTS[number])
        for number in pressed:
            if number != signal.SIGINT:
                signal.raise_signal(number)
