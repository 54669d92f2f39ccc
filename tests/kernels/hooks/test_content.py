"""Keys of functions: equal for those that compute the same, different for all others."""

from __future__ import annotations

import math
import sys
from types import ModuleType, SimpleNamespace

import numba
import numpy as np
import pytest

from fastnn.kernels.hooks.content import Content

compiles = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")


def equal(*functions):
    """Whether two functions, or pairs of them, have the same key, in a new module each."""
    return Content(functions[0]) == Content(functions[1])


def over(value):
    """A function that reads a value from its closure."""
    return lambda z: z * value


def with_default(value):
    return lambda z, k=value: z * k


def with_keyword(value):
    return lambda z, *, k=value: z * k


def with_global(value):
    return eval("lambda z: z * k", {"k": value})


def within(value):
    """A function whose inner function reads the value."""
    return lambda z: sum([value * z for _ in range(2)])


def in_module(value):
    module = MODULE
    module.k = value
    return eval("lambda z: z * module.k", {"module": module})


def in_inner_module(value):
    MODULE.inner.k = value
    return eval("lambda z: z * module.inner.k", {"module": MODULE})


def in_dispatcher(value):
    g = numba.njit(lambda z: z * value)
    return lambda z: g(z) + 1


def behind_dispatchers(value):
    """What two dispatchers read of one module."""
    g = eval("njit(lambda z: z * module.k)", {"njit": numba.njit, "module": MODULE})
    MODULE.k = value
    return eval("lambda z: module.other + g(z)", {"g": g, "module": MODULE})


def itself(value):
    return numba.njit(lambda z: z * value)


MODULE = ModuleType("settings_of_a_test")
MODULE.inner, MODULE.other = ModuleType("inner"), 1.0
MODULE.inner.outer = MODULE  # a circle

WAYS = [
    over,
    with_default,
    with_keyword,
    with_global,
    within,
    in_module,
    in_inner_module,
]
if not numba.config.DISABLE_JIT:
    WAYS += [in_dispatcher, behind_dispatchers, itself]

VALUES = [
    1,
    True,
    1.0,
    np.float64(1.0),
    np.float32(1.0),
    np.int64(1),
    0.0,
    -0.0,
    np.nextafter(1.0, 2.0),
    1j,
    math.nan,
    None,
    "1",
    b"1",
    (1, 2),
    (1, 2.0),
    ((1,), 2),
    ((1, 2),),
    [1, 2],
    {"a": 1},
    {"a": 2},
    range(3),
    range(4),
    range(0, 3, 2),
    range(0, 4, 2),
    10**5000,
    slice(0, 1),
    slice(0, 1.0),
    ...,
    np.arange(3),
    np.arange(3.0),
    np.arange(4),
    np.arange(3)[:, None],
    np.array([0, 1, 3]),
    np.dtype("float32"),
    np.dtype("float64"),
    np.float32,
    np.float64,
    math.exp,
    math.tanh,
    np.exp,
    np.tanh,
    numba.float32,
    numba.float64,
]


@pytest.mark.parametrize("way", WAYS)
def test_equal_where_all_values_are_and_only_there(way):
    contents = [Content(way(value)) for value in VALUES]
    assert all(content.key is not None for content in contents)
    for k, value in enumerate(VALUES):
        again = Content(way(value))
        assert [j for j, content in enumerate(contents) if content == again] == [k], value
        assert hash(again) == hash(contents[k])


def test_code():
    functions = [
        lambda z: z + 1,
        lambda z: z + 1.0,
        lambda z: z - 1,
        lambda z: math.exp(z),
        lambda z: math.tanh(z),
        lambda z: np.tanh(z),
        lambda z: sum([z * 2 for _ in range(2)]),
        lambda z: sum([z * 3 for _ in range(2)]),
        lambda z: z in (1, 2),
        lambda z: z in {1, 2},
    ]
    for k, function in enumerate(functions):
        assert [j for j, other in enumerate(functions) if equal(function, other)] == [k]


def test_functions_of_other_lines_may_be_equal():
    first = lambda z: z / (1 + abs(z))  # noqa: E731
    second = lambda z: z / (1 + abs(z))  # noqa: E731
    assert equal(first, second)
    assert Content(first, None) != Content(first, second)
    assert Content(first) != Content(first, None)


@pytest.mark.parametrize(
    "value",
    [
        SimpleNamespace(k=1),
        object(),
        np.zeros(2 * 10**5),  # numba reads it where it lies
        np.array([object()]),
        np.ma.ones(3),
        sys,
    ],
)
def test_what_cannot_be_told_equals_nothing(value):
    function = over((value,))
    assert Content(function).key is None
    assert Content(function) != Content(function)


def test_an_empty_cell_equals_nothing():
    def make():
        function = lambda z: z * later  # noqa: E731
        found = Content(function)
        later = 1.0
        return found, Content(function), later

    before, after, _ = make()
    assert before.key is None
    assert after.key is not None


def test_a_name_that_is_not_there():
    function = eval("lambda z: z * nowhere", {})
    assert equal(function, function)
    assert not equal(function, eval("lambda z: z * nowhere", {"nowhere": 1}))


@compiles
def test_options_of_a_dispatcher_count():
    def make(**options):
        return numba.njit(**options)(lambda z: z * 2.0)

    assert equal(make(), make())
    assert equal(make(fastmath=True), make(fastmath=True))
    for options in ({"fastmath": True}, {"error_model": "numpy"}, {"boundscheck": True}):
        assert not equal(make(), make(**options))
    assert not equal(make(), numba.njit("float64(float64)")(lambda z: z * 2.0))


@compiles
def test_a_compiled_dispatcher_is_what_it_was():
    values = {"k": 1.0, "njit": numba.njit}
    make = lambda: eval("njit(lambda z: z * k)", values)  # noqa: E731
    first, second, third = make(), make(), make()
    content = Content(first)
    assert content == Content(second)
    assert first(3.0) == 3.0
    content.freeze()
    values["k"] = 2.0
    assert Content(first) == content  # compiled, as noted
    assert Content(second) != content  # it would be compiled now
    assert second(3.0) == 6.0
    assert Content(second) != Content(third)  # compiled by others, it may be of any time


@compiles
def test_recursion():
    def make(least):
        @numba.njit
        def down(z):
            return down(z - 1.0) if z > least else z

        return down

    assert equal(make(1.0), make(1.0))
    assert not equal(make(1.0), make(2.0))
    values: list = [1]
    values.append(values)
    assert equal(over(values), over(values))
