"""Keys of functions by all that numba compiles into them: equal functions have equal keys.

A lambda in a loop is a new object each time, although it computes the same. When numba compiles a function,
it freezes what the function reads: the cells of its closure, its defaults, and globals, attributes of modules
among them. So these are in the key by value, beside the code.
"""

from __future__ import annotations

import dis
import enum
import hashlib
import struct
from collections.abc import Hashable, Iterator
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numba.core import types
from numba.core.dispatcher import Dispatcher
from numba.np.ufunc.dufunc import DUFunc

_MOST_ARRAY_BYTES = 10**6  # from here on numba reads a global array where it lies, instead of freezing it
# What these are cannot change, so that the object itself is a key.
_FIXED = (type, FunctionType, BuiltinFunctionType, np.ufunc, DUFunc, types.Type, enum.Enum)
_DISPATCHER_OPTIONS = ("targetoptions", "locals", "_impl_kind", "_can_compile")

# Dispatchers that were compiled for a key, with the key that they had before.
_frozen: WeakKeyDictionary[Dispatcher, Hashable] = WeakKeyDictionary()


class _UnknownError(TypeError):
    """A value whose content cannot be told."""


class _Itself:
    """An object as its own key."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


class Content:
    """What some functions compile to, to be used as the key of a dictionary.

    Parameters
    ----------
    *functions : callable or None

    Attributes
    ----------
    functions : tuple
    key : hashable or None
        None if a function reads a value that numba may freeze and whose content cannot be told.

    Examples
    --------
    >>> def times(k):
    ...     return lambda z: k * z
    >>> Content(times(2.0)) == Content(times(2.0))
    True
    >>> Content(times(2.0)) == Content(times(3.0))
    False
    """

    def __init__(self, *functions: Any) -> None:
        self.functions = functions
        self._seen: dict[int, int] = {}  # of what may hold itself: its number
        self._refers_back = False
        self._fresh: list[tuple[Dispatcher, Hashable]] = []
        try:
            self.key: Hashable = tuple(
                self._function(f) if isinstance(f, FunctionType) else self._value(f) for f in functions
            )
        except (_UnknownError, RecursionError):
            self.key = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.key is not None and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def freeze(self) -> None:
        """Note that the functions have been compiled: from now on, changes of globals do not reach them."""
        if not self._refers_back:  # else a part of the key means nothing without the whole
            _frozen.update({dispatcher: key for dispatcher, key in self._fresh if dispatcher.overloads})

    def _value(self, value: Any) -> Hashable:
        kind = type(value)
        if value is None or kind in (bool, int, str, bytes, type(...)):
            return kind, value
        if kind in (range, slice):
            return kind, *map(self._value, (value.start, value.stop, value.step))
        if kind in (float, complex):  # -0.0 is not 0.0, and NaN is NaN
            return kind, struct.pack("dd", complex(value).real, complex(value).imag)
        if isinstance(value, np.generic) and not value.dtype.hasobject:
            return kind, value.dtype, value.tobytes()
        if kind is np.ndarray and not value.dtype.hasobject and value.nbytes <= _MOST_ARRAY_BYTES:
            return kind, value.dtype, value.shape, value.strides, hashlib.sha256(value.tobytes()).digest()
        if isinstance(value, np.dtype):
            return kind, value
        if isinstance(value, _FIXED):
            return _Itself(value)
        if isinstance(value, CodeType):
            return self._code(value)
        if isinstance(value, tuple):
            return kind, *map(self._value, value)
        if kind is frozenset:
            return kind, frozenset(map(self._value, value))
        if id(value) in self._seen:
            self._refers_back = True
            return "seen", self._seen[id(value)]
        self._seen[id(value)] = len(self._seen)
        if isinstance(value, Dispatcher):
            return self._dispatcher(value)
        if kind is list:
            return kind, *map(self._value, value)
        if kind is dict:
            return kind, *((self._value(k), self._value(v)) for k, v in value.items())
        raise _UnknownError(f"the content of {kind.__name__} cannot be told")

    def _code(self, code: CodeType) -> Hashable:
        names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
        counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
        table = getattr(code, "co_exceptiontable", b"")  # new in Python 3.11
        return code.co_code, tuple(map(self._value, code.co_consts)), names, counts, table

    def _function(self, function: Any) -> Hashable:
        codes = list(_codes(function.__code__))
        attributes = sorted({name for code in codes for name in code.co_names})
        try:
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
        except ValueError:
            raise _UnknownError("a cell is empty") from None
        values = function.__globals__
        builtins = values.get("__builtins__", {})
        builtins = builtins if isinstance(builtins, dict) else vars(builtins)
        found = {name: values.get(name, builtins.get(name)) for name in sorted(_globals_read(codes))}
        defaults = function.__defaults__, function.__kwdefaults__
        read = [*cells, *found.values()]
        return (
            self._code(function.__code__),
            self._value(defaults),
            tuple(found),
            tuple(self._read(value, attributes) for value in read),
        )

    def _read(self, value: Any, attributes: list[str], within: tuple[ModuleType, ...] = ()) -> Hashable:
        """Return the key of a value; of a module, that of the attributes that code may read."""
        if not isinstance(value, ModuleType):
            return self._value(value)
        held, within = {} if value in within else vars(value), (*within, value)
        return _Itself(value), *(
            (name, self._read(held[name], attributes, within)) for name in attributes if name in held
        )

    def _dispatcher(self, dispatcher: Dispatcher) -> Hashable:
        if dispatcher.overloads:  # changes of globals no longer reach it
            return _frozen.get(dispatcher, _Itself(dispatcher))
        options = tuple(repr(getattr(dispatcher, name, None)) for name in _DISPATCHER_OPTIONS)
        key = type(dispatcher), options, self._function(dispatcher.py_func)
        self._fresh.append((dispatcher, key))
        return key


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object, and those of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _globals_read(codes: list[CodeType]) -> set[str]:
    return {
        instruction.argval
        for code in codes
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
