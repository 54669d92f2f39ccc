"""Forks of the process while other threads are inside fastnn.

A forked child has all of its parent's memory, but only the thread that forked: a lock that another thread
held stays locked in it for ever, and what that thread was in the middle of stays half done. Hence:

* A lock of fastnn's own is made by :func:`new_lock`; in a child it is free.
* What takes locks that Python, numba or the system holds, such as an import or the start of numba's threads,
  stands in a section :func:`unforked`; a fork waits until no other thread is in one.
* A lock of others that is taken out of fastnn's sight, as numba's compiler takes its own, is passed to
  :func:`take_at_forks`; a fork waits for it.
"""

from __future__ import annotations

import contextlib
import logging  # noqa: F401  (whoever registers first is called last: logging's lock must not be held by then)
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
# Seconds: how often a fork looks whether it may go on, and how long it waits at most. By then, it and what it
# waits for are waiting for each other, by way of a lock that fastnn does not know.
POLL, PATIENCE = 0.001, 300.0


class Lock(Protocol):
    """What is taken and given back."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take it if it is free, or wait until it is; return whether it has been taken."""

    def release(self) -> None:
        """Give it back."""


_own: weakref.WeakSet[Any] = weakref.WeakSet()
_sections: Counter[int] = Counter()  # how many sections each thread is in
_under_way: list[list[Lock]] = []  # what each fork has taken; a signal's handler may fork during a fork


def new_lock() -> Any:
    """Return a reentrant lock that is free in a forked child, unless the thread that forked holds it.

    Examples
    --------
    >>> with new_lock():
    ...     pass
    """
    lock = threading.RLock()
    _own.add(lock)
    return lock


_sections_lock = new_lock()
_taken: list[Lock] = [_sections_lock]


def take_at_forks(lock: Lock) -> None:
    """Let forks wait for a lock, which the parent and the child then hold until the fork is done."""
    _taken.append(lock)


@contextlib.contextmanager
def unforked() -> Iterator[None]:
    """Context in which no other thread forks this process; any number of threads may be in it.

    Examples
    --------
    >>> with unforked():
    ...     import colorsys
    """
    me = threading.get_ident()
    try:
        with _sections_lock:
            _sections[me] += 1
        yield
    finally:
        with _sections_lock:
            _sections[me] -= 1
            if _sections[me] < 1:
                del _sections[me]


def _others() -> set[int]:
    return _sections.keys() - {threading.get_ident()}


def _release(locks: list[Lock]) -> None:
    for lock in reversed(locks):
        lock.release()


def _take_all() -> list[Lock] | None:
    """Take all locks, if each is free and no other thread is in a section; otherwise none."""
    locks: list[Lock] = []
    for lock in list(_taken):
        if not lock.acquire(blocking=False):
            break
        locks.append(lock)
    else:
        if not _others():
            return locks
    _release(locks)
    return None


def _before() -> None:
    # What a thread in a section needs is never held while waiting for it.
    end = time.monotonic() + PATIENCE
    while (locks := _take_all()) is None and time.monotonic() < end:
        time.sleep(POLL)
    _under_way.append(locks or [])


def _after_in_parent() -> None:
    _release(_under_way.pop())


def _after_in_child() -> None:
    if _under_way:  # where a program written in C forks, as uWSGI does, only this function is called
        _after_in_parent()
    for thread in _others():
        del _sections[thread]
    for lock in _own:
        if not lock._is_owned():
            lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


class cached_property(Generic[T]):  # noqa: N801  (takes the place of Python's)
    """Python's cached property without its lock, which up to version 3.11 all instances of a class share."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function, self.__doc__ = function, function.__doc__

    def __get__(self, instance: Any, owner: type) -> T:
        if instance is None:
            return self  # type: ignore[return-value]
        value = instance.__dict__[self._function.__name__] = self._function(instance)
        return value
