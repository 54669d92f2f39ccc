"""Checks of arguments: what they return, and their one-sentence errors."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest

from fastnn import _checks

FLOAT32 = np.dtype("float32")


def test_counts_and_numbers():
    assert _checks.check_count("n", np.int8(3)) == 3
    assert type(_checks.check_count("n", np.int8(3))) is int
    assert _checks.check_number("p", 0, 0.0, 1.0) == 0.0
    assert _checks.check_limit("limit", None) is None
    assert _checks.check_limit("limit", 2) == 2.0
    assert _checks.check_optional_count("n", None) is None
    assert _checks.check_optional_count("n", 3) == 3
    assert [_checks.check_flag("f", flag) for flag in (True, np.bool_(False), 1, 0)] == [
        True,
        False,
        True,
        False,
    ]
    assert _checks.check_items("names", ("a", "b"), "names") == ["a", "b"]


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: _checks.check_count("n", True), TypeError, "n must be an integer, got True"),
        (lambda: _checks.check_count("n", 2.0), TypeError, r"n must be an integer, got 2\.0"),
        (lambda: _checks.check_count("n", 0), ValueError, "n must be at least 1, got 0"),
        (lambda: _checks.check_count("n", 2**63), ValueError, f"at most 2147483647, got {2**63}"),
        (lambda: _checks.check_count("n", -(10**5000)), ValueError, "1, got an integer of 16610 bits"),
        (lambda: _checks.check_number("p", 10**400, 0.0), ValueError, "got an integer of 1329"),
        (lambda: _checks.check_number("p", "x" * 9999, 0.0), TypeError, r"got 'x{30,40}\.\.\.x+'\.$"),
        (lambda: _checks.make_rng("one"), TypeError, "seed must be an integer or a numpy.random.Generator"),
        (lambda: _checks.make_rng(1.0, "s"), TypeError, r"s must be an integer .*, got 1\.0"),
        (lambda: _checks.make_rng(-1), ValueError, "seed must be at least 0, got -1"),
        (lambda: _checks.make_rng(2**128), ValueError, "seed must be at most"),
        (lambda: _checks.check_count("n", np.timedelta64(3, "s")), TypeError, "n must be an integer, got"),
        (lambda: _checks.check_flag("f", "no"), TypeError, "f must be True or False, got 'no'"),
        (lambda: _checks.check_flag("f", np.ones(2)), TypeError, "f must be True or False, got array"),
        (lambda: _checks.check_path("p", 3), TypeError, "p must be a path, got 3"),
        (lambda: _checks.check_path("p", b"a"), TypeError, "p must be a path, got b'a'"),
        (lambda: _checks.check_path("p", "a\0"), ValueError, "p holds a character that no path can have"),
        (lambda: _checks.check_path("p", "\ud800"), ValueError, "p holds a character that no path can have"),
        (lambda: _checks.check_items("p", "abc", "names"), TypeError, "a sequence of names, got 'abc'"),
        (lambda: _checks.check_items("p", np.array(1), "names"), TypeError, "p must be a sequence of names"),
        (lambda: _checks.check_items("p", range(10**15), "names"), ValueError, "PiB for its items"),
        (lambda: _checks.check_classes(["a", "a"]), ValueError, "classes must hold different labels"),
        (lambda: _checks.check_classes([[1]]), ValueError, r"different labels, got \[\[1\]\]"),
        (lambda: _checks.as_rows("y", 3), ValueError, "y must have rows, got the single value 3"),
        (lambda: _checks.as_rows("y", []), ValueError, "y is empty: expected at least one row"),
        (lambda: _checks.check_dtype(None), ValueError, "dtype must be float32 or float64, got None"),
        (lambda: _checks.check_name("n", np.zeros(2), ["a"]), ValueError, r"n must be one of a, got array\("),
        (lambda: _checks.check_number("p", "1", 0.0), TypeError, "p must be a number, got '1'"),
        (lambda: _checks.check_number("p", 1, 0.0, 1.0), ValueError, r"p must lie in \[0, 1\), got 1"),
        (lambda: _checks.check_number("p", math.nan, 0.0), ValueError, r"p must lie in \[0, inf\), got nan"),
        (lambda: _checks.check_limit("p", 0), ValueError, r"p must lie in \(0, inf\), got 0"),
        (lambda: _checks.check_dtype("int8"), ValueError, "dtype must be float32 or float64, got 'int8'"),
        (lambda: _checks.check_dtype("nonsense"), ValueError, "dtype must be float32 or float64"),
        (lambda: _checks.check_lengths("x", 2, "y", 3), ValueError, "x has 2 rows and y has 3, expected"),
        (lambda: _checks.require("no_such_module", "all"), ImportError, r'pip install "fastnn-core\[all\]"'),
    ],
)  # fmt: skip
def test_scalars_refused(check, error, message):
    with pytest.raises(error, match=message):
        check()


@pytest.mark.parametrize(
    "seed", [None, 0, np.int8(3), 2**128 - 1, np.random.SeedSequence(1), np.random.PCG64(2)]
)
def test_seeds(seed):
    rng = _checks.make_rng(seed)
    assert isinstance(rng, np.random.Generator)
    assert _checks.make_rng(rng) is rng


class Awkward:
    """A value that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float32(0.5), "0.5"),
        ("a\nb", r"'a\nb'"),
        ({"a": list(range(100))}, "{'a': [0, 1, 2, 3, 4, 5, ...]}"),
        (np.zeros((2, 2)), "array([[0., 0.], [0., 0.]])"),
    ],
)
def test_values_are_shown_on_one_short_line(value, text):
    assert _checks.shown(value) == text


def test_anything_is_shown():
    assert _checks.shown(10**5000) == "an integer of 16610 bits"
    assert _checks.shown([10**5000]) == "a list"
    assert "Awkward" in _checks.shown(Awkward())
    assert len(_checks.shown([["x" * 50] * 50] * 50)) <= 80


def test_names():
    known = ["adam", "SGD", "lion"]
    assert _checks.check_name("optimizer", "lion", known) == "lion"
    assert _checks.nearest_name("sgd", known) == "SGD"
    assert _checks.nearest_name("rmsprop", known) is None
    with pytest.raises(ValueError, match=r"one of adam, SGD, lion, got 'adan'\. Did you mean 'adam'\?"):
        _checks.check_name("optimizer", "adan", known)
    with pytest.raises(ValueError, match=r"0, 1, .*, 29, \.\.\. \(100 names\), got None\.$"):
        _checks.check_name("name", None, [str(k) for k in range(100)])
    assert _checks.function_name(math.tanh) == "tanh"
    assert _checks.function_name(functools.partial(abs)).startswith("functools.partial(")


def test_x_is_copied_only_if_it_must_be():
    x = np.ones((3, 2), FLOAT32)
    assert _checks.check_x("x", x, 2, FLOAT32) is x
    for other in (x.astype("float64"), np.asfortranarray(x), [[1, 1]] * 3, [["1", "1"]] * 3):
        checked = _checks.check_x("x", other, 2, FLOAT32)
        np.testing.assert_array_equal(checked, x)
        assert checked.dtype == FLOAT32
        assert checked.flags.c_contiguous


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ([1.0, 2.0], ValueError, r"x must have 2 dimensions .*, got shape \(2,\)\. Use x\.reshape\(1, -1\)"),
        ([[1.0]], ValueError, "x has 1 features, but the network takes 2"),
        (np.ones((0, 2)), ValueError, "x is empty"),
        ([[1.0, 1j]], ValueError, "x has complex values"),
        ([["1", "b"]], ValueError, r"x must be numeric, but it holds 'b'\.$"),
        ([[1.0, 2.0], [3.0]], ValueError, "x cannot be converted to an array: its rows differ in shape"),
        ([[1, 10**400]], ValueError, "x must be numeric, but it holds an integer of 1329 bits"),
        ([[1, None]], ValueError, r"x has 1 values that are NaN"),
        ([[1, {}]], ValueError, "x must be numeric, but it holds {}"),
        ([[np.datetime64("2020-01-01")] * 2], ValueError, "x must be numeric, got dtype datetime64"),
        (np.ma.masked_equal([[1.0, 2.0]], 2.0), ValueError, "x has masked values"),
        ([[1.0, math.nan], [math.inf, 0]], ValueError, r"2 values that are NaN .* \(the first at \[0, 1\]\)"),
        ([[1e300, 0.0]], ValueError, "1 values that are NaN or infinite in float32"),
    ],
)
def test_x_refused(x, error, message):
    with pytest.raises(error, match=message):
        _checks.check_x("x", x, 2, FLOAT32)


def test_finite_values_whose_sum_overflows():
    x = np.full((2, 2), np.finfo(FLOAT32).max, FLOAT32)
    assert _checks.check_x("x", x, 2, FLOAT32) is x


def test_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    assert _checks.is_sparse(sparse.csc_array((2, 2)))
    assert not _checks.is_sparse(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"x is a sparse matrix, expected a dense one: pass x\.toarray\(\)"):
        _checks.check_x("x", sparse.csr_array((2, 2)), 2, FLOAT32)
    twice = sparse.csr_array((np.array([1.0, 2.0, 3.0]), np.array([1, 0, 1]), np.array([0, 3])), (1, 2))
    checked = _checks.check_sparse("x", twice, 2, FLOAT32)
    assert (checked.indices.tolist(), checked.data.tolist()) == ([0, 1], [2.0, 4.0])
    assert checked.dtype == FLOAT32
    assert len(twice.data) == 3
    with pytest.raises(ValueError, match="1 values that are NaN or infinite"):
        _checks.check_sparse("x", sparse.csr_array([[math.nan, 1.0]]), 2, FLOAT32)


def test_weights():
    assert _checks.check_weights("w", 2, 3).tolist() == [2, 2, 2]
    for weights, message in (
        ([1, 2], r"w must have shape \(3,\), one number per row, got \(2,\)"),
        ([1, -1, 0], "w must be at least 0, and above 0 in some row, but it holds -1"),
        ([0, 0, 0], "w must be at least 0, .* but its values are all 0"),
        (["a", 0, 0], "w must be numeric"),
        ([1, 1, math.nan], "w has 1 values that are NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            _checks.check_weights("w", weights, 3)


def test_labels_and_targets():
    labels = _checks.check_labels("y", [0.0, 2.0], 1, 3)
    assert labels.tolist() == [[0], [2]]
    assert labels.dtype == np.int32
    assert _checks.check_targets("y", [1, 2], 1, FLOAT32).shape == (2, 1)
    for y, message in (
        ([0, 3], "y holds the label 3, but the classes are 0 to 2"),
        ([0.5, 1], "y must hold class numbers 0 to 2, got dtype float64"),
        ([[0, 1]], r"y must have shape \(n,\), got \(1, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            _checks.check_labels("y", y, 1, 3)
    with pytest.raises(ValueError, match=r"y must have shape \(n, 2\), one column per output, got \(1, 1\)"):
        _checks.check_targets("y", [1.0], 2, FLOAT32)


def test_categories():
    _checks.check_categories("x", np.array([0.0, 4.0]), 1, 5)
    for values in ([-1.0], [5.0], [0.5]):
        with pytest.raises(ValueError, match=r"column 1 of x .* must hold whole numbers from 0 to 4"):
            _checks.check_categories("x", np.array(values), 1, 5)


def test_writable_view():
    array = np.arange(3.0)
    assert _checks.writable_view(array) is array
    array.flags.writeable = False
    view = _checks.writable_view(array)
    assert view.flags.writeable
    assert np.shares_memory(view, array)
