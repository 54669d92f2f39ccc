"""Features: what is taken as it is, what is converted, and what is refused."""

import numpy as np
import pytest

import fastnn
from fastnn.network.inputs import as_data, check_features


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
        (np.zeros((0, 5)), "x has 5 features, but the network takes 4"),
        ([[1.0, 2.0, 3.0, 10**400]], "x must be numeric, but it holds an integer of 1329 bits"),
        ([[1.0] * 4, [1.0]], "its rows differ in shape"),
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


@pytest.mark.parametrize("n_out", [1, 3])
def test_predictions_of_no_rows_are_no_rows(n_out):
    sparse = pytest.importorskip("scipy.sparse")
    net = fastnn.MLP([4, 3, n_out], "tanh", norm="batch", output="sigmoid", seed=0)
    one, none = np.zeros((1, 4), np.float32), np.zeros((0, 4), np.float32)
    of_net = (net.predict, net.predict_proba, net.predict_raw)
    for predict in (*of_net, net.predictor(), net.predictor(n_threads=2)):
        ref = predict(one)
        for rows in (none, none.astype("float64"), sparse.csr_matrix(none)):
            if sparse.issparse(rows) and predict not in of_net:  # a predictor takes dense rows
                continue
            comp = predict(rows)
            assert comp.shape == (0, *ref.shape[1:])
            assert comp.dtype == ref.dtype
    assert [out.shape for out in net.layer_outputs(none)] == [(0, 3), (0, n_out)]


def test_a_training_needs_rows():
    trainer = fastnn.Trainer(fastnn.MLP([4, 2], seed=0), loss="mse", seed=0)
    with pytest.raises(ValueError, match="x is empty"):
        trainer.fit(np.zeros((0, 4)), np.zeros((0, 2)), verbose=0)


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


# --- forms of the same rows -------------------------------------------------------------------------


def frame(x):
    return pytest.importorskip("pandas").DataFrame(x)


def polars(x):
    return pytest.importorskip("polars").DataFrame(x)


def csr(x):
    return pytest.importorskip("scipy.sparse").csr_matrix(x)


FORMS = {
    "list": np.ndarray.tolist,
    "DataFrame": frame,
    "polars": polars,
    "csr": csr,
    "Fortran": np.asfortranarray,
    "float64": lambda x: x.astype(np.float64),
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "int8": lambda x: x.astype(np.int8),
}


@pytest.fixture
def rows():
    return np.random.default_rng(0).integers(-2, 3, (50, 6)).astype(np.float32)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_bits(rows, form):
    y = np.arange(50) % 4
    nets = [fastnn.MLP([6, 5, 4], "tanh", seed=0) for _ in range(2)]
    trainers = [fastnn.Trainer(net, loss="cross_entropy", batch_size=16, seed=0) for net in nets]
    given = form(rows)
    for trainer, x in zip(trainers, (rows, given), strict=True):
        trainer.fit(x, y, epochs=3, verbose=0)
    np.testing.assert_array_equal(nets[1].params, nets[0].params)
    np.testing.assert_array_equal(nets[1].predict_raw(given), nets[0].predict_raw(rows))
    assert trainers[1].evaluate(given, y) == trainers[0].evaluate(rows, y)
    np.testing.assert_array_equal(trainers[1].losses(given, y), trainers[0].losses(rows, y))


@pytest.mark.parametrize("writeable", [True, False])
def test_what_is_as_it_should_be_is_not_copied(rows, writeable):
    architecture = fastnn.MLP([6, 5, 4], seed=0).compiled_network.architecture
    rows.flags.writeable = writeable
    before = rows.copy()
    checked = check_features("x", rows, architecture)
    data = as_data(checked)
    for array in (checked, data.x):
        assert array.ctypes.data == rows.ctypes.data
    assert data.x.flags.writeable  # or kernels would be compiled anew
    assert rows.flags.writeable == writeable
    net = fastnn.MLP([6, 5, 4], seed=0)
    fastnn.Trainer(net, loss="cross_entropy", seed=0).fit(rows, np.arange(50) % 4, epochs=2, verbose=0)
    np.testing.assert_array_equal(rows, before)


def test_csr_is_not_copied(rows):
    architecture, x = fastnn.MLP([6, 5, 4], seed=0).compiled_network.architecture, csr(rows)
    for array in (x.data, x.indices, x.indptr):
        array.flags.writeable = False
    data = as_data(check_features("x", x, architecture))
    assert data.x.ctypes.data == x.data.ctypes.data
    assert data.columns.ctypes.data == x.indices.ctypes.data


@pytest.mark.parametrize("form", [lambda x: x, csr], ids=["dense", "csr"])
def test_records_for_kernels_have_the_same_types(rows, form):
    architecture = fastnn.MLP([6, 5, 4], seed=0).compiled_network.architecture
    data = as_data(check_features("x", form(rows), architecture))
    types = {name: (array.dtype.name, array.ndim) for name, array in data._asdict().items()}
    assert types == {
        "x": ("float32", 2),
        "labels": ("int32", 2),
        "targets": ("float32", 2),
        "indices": ("int64", 1),
        "weights": ("float64", 1),
        "starts": ("int64", 1),
        "columns": ("int32", 1),
    }
    assert all(array.flags.c_contiguous for array in data)
    assert (data.starts.size > 0) == (form is csr)
