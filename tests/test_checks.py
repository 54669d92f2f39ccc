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


@pytest.mark.parametrize(
    ("check", "error", "message"),
    [
        (lambda: _checks.check_count("n", True), TypeError, "n must be an integer, got True"),
        (lambda: _checks.check_count("n", 2.0), TypeError, r"n must be an integer, got 2\.0"),
        (lambda: _checks.check_count("n", 0), ValueError, "n must be at least 1, got 0"),
        (lambda: _checks.check_number("p", "1", 0.0), TypeError, "p must be a number, got '1'"),
        (lambda: _checks.check_number("p", 1, 0.0, 1.0), ValueError, r"p must lie in \[0, 1\), got 1"),
        (lambda: _checks.check_number("p", math.nan, 0.0), ValueError, r"p must lie in \[0, inf\), got nan"),
        (lambda: _checks.check_limit("p", 0), ValueError, r"p must lie in \(0, inf\), got 0"),
        (lambda: _checks.check_dtype("int8"), ValueError, "dtype must be float32 or float64, got 'int8'"),
        (lambda: _checks.check_dtype("nonsense"), ValueError, "dtype must be float32 or float64"),
        (lambda: _checks.check_lengths("x", 2, "y", 3), ValueError, "x has 2 rows and y has 3, expected"),
        (lambda: _checks.require("no_such_module", "all"), ImportError, r'pip install "fastnn\[all\]"'),
    ],
)  # fmt: skip
def test_scalars_refused(check, error, message):
    with pytest.raises(error, match=message):
        check()


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
        ([["a", "b"]], ValueError, "x must be numeric, but it cannot be converted"),
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
