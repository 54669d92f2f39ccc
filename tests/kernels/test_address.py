"""Calls of compiled functions by their address."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from typing import NamedTuple

import numba
import numpy as np
import pytest

from fastnn._jit import jit
from fastnn.kernels.address import address_of, call_at, no_codes, no_words, pointer_to, value_at


class Numbers(NamedTuple):
    """A tuple like those that kernels take: an array, an integer and a float."""

    values: np.ndarray
    count: int
    factor: float


@jit
def note(out, numbers, place, factor, flag):
    out[place] = numbers.values.sum() * numbers.factor * factor + numbers.count
    if flag:
        out[place] = -out[place]


@jit
def note_place(out, numbers, place, factor, flag):
    out[place] = place


@jit
def call(address, out, numbers, place, factor, flag):
    call_at(address, (out, numbers, place, factor, flag))


@jit
def call_with_narrow(address, out, numbers, factor, flag):
    # Integers of any width arrive as intp, so one compiled form of the function suffices.
    call_at(address, (out, numbers, np.int32(1), factor, flag))
    call_at(address, (out, numbers, np.uint64(2), factor, flag))
    call_at(address, (out, numbers, 3, factor, flag))


@jit
def n_words():
    return no_words().size


@jit
def n_codes():
    return no_codes().shape


@jit
def note_at(numbers, out, place):
    """Do as `note` does, with a tuple or a pointer to one."""
    numbers = value_at(numbers)
    numbers.values[0] += 1  # a copy's array is the same array
    out[place] = numbers.values.sum() * numbers.factor + numbers.count


@jit
def call_of_pointer(address, out, numbers, place):
    at = pointer_to(numbers)
    call_at(address, (at, out, place))
    # Another tuple, while the first is there.
    other = pointer_to(Numbers(numbers.values, numbers.count + 100, 2 * numbers.factor))
    call_at(address, (other, out, place + 1))
    call_at(address, (at, out, place + 2))


def arguments(dtype):
    numbers = Numbers(np.arange(4.0).astype(dtype), 7, 0.5)
    return np.zeros(5, dtype), numbers, 2, dtype.type(3), True


def figures(dtype):
    """Return numbers that calls of two functions write, to repeat without compilation."""
    dtype, result = np.dtype(dtype), []
    for function in (note, note_place):
        out, numbers, place, factor, flag = arguments(dtype)
        address = address_of(function, (out, numbers, place, factor, flag))
        call(address, out, numbers, place, factor, flag)
        call(address, out, numbers, 4, factor, False)
        result.append(out.tolist())
        call_with_narrow(address, out, numbers, factor, False)
        result.append(out.tolist())
    result.append(noted_at(dtype)[0])
    out, numbers, *_ = arguments(dtype)
    note_at(numbers, out, 4)
    return [*result, out.tolist(), [n_words(), *n_codes()]]


def noted_at(dtype):
    """Return numbers that calls by pointer write, and the number of new references to the arrays."""
    out, numbers, *_ = arguments(dtype)
    pointer = numba.types.CPointer(numba.typeof(numbers))
    address = address_of(note_at, (pointer, out, 0))
    counts = [sys.getrefcount(array) for array in (out, numbers.values)]
    call_of_pointer(address, out, numbers, 1)
    after = [sys.getrefcount(array) for array in (out, numbers.values)]
    return out.tolist(), [n - m for n, m in zip(after, counts, strict=True)]


# 0.5 * 3 * (0 + 1 + 2 + 3) + 7 = 16
EXPECTED = [
    [0, 0, -16, 0, 16],
    [0, 16, 16, 16, 16],
    [0, 0, 2, 0, 4],
    [0, 1, 2, 3, 4],
    # 0.5 * (1 + 1 + 2 + 3) + 7, 1.0 * (2 + 1 + 2 + 3) + 107, 0.5 * (3 + 1 + 2 + 3) + 7
    [0, 10.5, 115, 11.5, 0],
    [0, 0, 0, 0, 10.5],
    [0, 0, 0],
]


def test_calls(dtype):
    assert figures(dtype) == EXPECTED


def test_a_pointer_counts_no_references(dtype):
    for _ in range(100):
        assert noted_at(dtype)[1] == [0, 0]


def test_without_compilation(run_python, dtype):
    code = f"import json, kernels.test_address as t; print(json.dumps(t.figures({dtype.name!r})))"
    assert json.loads(run_python(code, NUMBA_DISABLE_JIT="1").stdout) == EXPECTED


def test_one_address_a_form(dtype):
    like = arguments(dtype)
    address = address_of(note, like)
    assert address_of(note, like) == address
    assert address_of(note_place, like) != address


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_another_address_compiles_nothing():
    before = figures("float32"), len(call.signatures)
    assert (figures("float32"), len(call.signatures)) == before


def test_an_address_is_valid_as_long_as_its_function(dtype):
    like = arguments(dtype)

    def make(value):
        @numba.njit(error_model="numpy")
        def own(out, numbers, place, factor, flag):
            out[place] = value

        return own

    functions = [make(value) for value in range(5)]
    addresses = [address_of(function, like) for function in functions]
    for value, address in enumerate(addresses):
        out, *rest = arguments(dtype)
        call(address, out, *rest)
        assert out[2] == value
    released = [weakref.ref(function) for function in functions]
    del functions
    gc.collect()
    assert [found() for found in released] == [None] * 5
