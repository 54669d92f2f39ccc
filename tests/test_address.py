"""Calls of compiled functions by their address."""

from __future__ import annotations

import json
from typing import NamedTuple

import numba
import numpy as np
import pytest

from fastnn._jit import jit
from fastnn.kernels.address import address_of, call_at, no_words


class Numbers(NamedTuple):
    """Such a tuple as kernels take: of an array, a whole number and a float."""

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
    # Whole numbers of any width come as intp: of one form of the function there need be no other.
    call_at(address, (out, numbers, np.int32(1), factor, flag))
    call_at(address, (out, numbers, np.uint64(2), factor, flag))
    call_at(address, (out, numbers, 3, factor, flag))


@jit
def n_words():
    return no_words().size


def arguments(dtype):
    numbers = Numbers(np.arange(4.0).astype(dtype), 7, 0.5)
    return np.zeros(5, dtype), numbers, 2, dtype.type(3), True


def figures(dtype):
    """What calls of two functions write, to be repeated without compilation."""
    dtype, result = np.dtype(dtype), []
    for function in (note, note_place):
        out, numbers, place, factor, flag = arguments(dtype)
        address = address_of(function, (out, numbers, place, factor, flag))
        call(address, out, numbers, place, factor, flag)
        call(address, out, numbers, 4, factor, False)
        result.append(out.tolist())
        call_with_narrow(address, out, numbers, factor, False)
        result.append(out.tolist())
    return [*result, [n_words()]]


# 0.5 * 3 * (0 + 1 + 2 + 3) + 7 = 16
EXPECTED = [
    [0, 0, -16, 0, 16],
    [0, 16, 16, 16, 16],
    [0, 0, 2, 0, 4],
    [0, 1, 2, 3, 4],
    [0],
]


def test_calls(dtype):
    assert figures(dtype) == EXPECTED


def test_without_compilation(run_python, dtype):
    code = f"import json, test_address as t; print(json.dumps(t.figures({dtype.name!r})))"
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


def test_a_function_lives_as_long_as_its_address(dtype):
    """One that nobody else holds, as a user's own activation may be."""
    like = arguments(dtype)

    def make(value):
        @numba.njit(error_model="numpy")
        def own(out, numbers, place, factor, flag):
            out[place] = value

        return address_of(own, like)

    addresses = [make(value) for value in range(5)]
    for value, address in enumerate(addresses):
        out, *rest = arguments(dtype)
        call(address, out, *rest)
        assert out[2] == value
