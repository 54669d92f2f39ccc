"""Features: what is taken as it is, what is converted, and what is refused."""

import numpy as np
import pytest

import fastnn


def test_read_only_and_strided_rows_are_accepted_without_another_compilation():
    from fastnn.kernels.predict import predict_part

    net = fastnn.MLP([6, 5, 4], seed=0)
    x = np.random.default_rng(0).standard_normal((50, 6)).astype(np.float32)
    ref = net.predict(x)
    compiled = len(predict_part.signatures)
    frozen = x.copy()
    frozen.flags.writeable = False
    strided = np.repeat(x, 2, axis=0)[::2]
    for same in (frozen, np.asfortranarray(x), strided, x.astype(np.float64), x.tolist()):
        assert np.array_equal(net.predict(same), ref)
    assert len(predict_part.signatures) == compiled


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(4), r"2 dimensions .*got shape \(4,\).*reshape"),
        (np.zeros((2, 3, 4)), "2 dimensions"),
        (np.zeros((2, 5)), "x has 5 features, but the network takes 4"),
        (np.zeros((0, 4)), "x is empty"),
        (np.full((2, 4), np.nan), "x has 8 values that are NaN or infinite"),
        ([[1, 2, np.inf, 4]], r"the first at \[0, 2\]"),
        (np.full((2, 4), 1e300), "infinite in float32"),
        ([["a", "b", "c", "d"]], "x must be numeric"),
        (np.zeros((2, 4), complex), "complex"),
    ],
)
def test_bad_rows(x, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([4, 3, 2], seed=0).predict(x)


def test_large_finite_values_whose_sum_overflows_are_accepted():
    x = np.full((4, 4), 1e308)
    fastnn.MLP([4, 2], dtype="float64", seed=0).predict(x)


@pytest.mark.parametrize("form", ["csr_matrix", "coo_array"])
def test_sparse_rows(form):
    sparse = pytest.importorskip("scipy.sparse")
    net = fastnn.MLP([5, 6, 3], "tanh", norm="batch", output="softmax", seed=0)
    x = np.random.default_rng(0).integers(0, 2, (30, 5)).astype(np.float32)
    rows = getattr(sparse, form)(x)
    np.testing.assert_array_equal(net.predict_proba(rows.tocsr()), net.predict_proba(x))
    np.testing.assert_array_equal(net.predict(rows.tocsr()[:1]), net.predict(x[:1]))
