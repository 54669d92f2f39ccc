"""Rows to train on: dense and sparse ones, targets, and what is refused."""

import numpy as np
import pytest

import fastnn
from training.examples import assert_same_parameters, make_blobs_trainer, make_whole_batch_trainer

LOSSES = {"cross_entropy": 3, "binary_cross_entropy": 1, "mse": 1}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((0, 2)), np.zeros(0), "x is empty"),
        (np.zeros((4, 3)), np.zeros(4), "x has 3 features, but the network takes 2"),
        (np.zeros((4, 2)), np.zeros(5), "x has 4 rows and y has 5"),
        (np.full((4, 2), np.nan), np.zeros(4), "NaN"),
        (np.zeros((4, 2)), np.zeros((4, 7)), "y must have shape"),
        (np.zeros((4, 2)), 3, "x has 4 rows and y has 0"),
    ],
)
def test_bad_data(loss, x, y, message):
    with pytest.raises(ValueError, match=message):
        make_blobs_trainer(loss, (2, LOSSES[loss])).fit(x, y, epochs=1, verbose=0)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("cross_entropy", [0, 1, 2, 3], "y holds the label 3, but the classes are 0 to 2"),
        ("cross_entropy", [0, 1, -1, 2], "y holds the label -1"),
        ("cross_entropy", [0.5, 1, 1, 2], "class numbers 0 to 2, got dtype float64.*LabelEncoder"),
        ("cross_entropy", list("abca"), "LabelEncoder"),
        ("binary_cross_entropy", [0, 1, 2, 1], "y holds the label 2, but the classes are 0 to 1"),
        ("mse", [0, 1, np.nan, 1], "y has 1 values that are NaN"),
        ("mse", list("abca"), "y must be numeric"),
    ],
)
def test_bad_targets(loss, y, message):
    with pytest.raises(ValueError, match=message):
        make_blobs_trainer(loss, (2, LOSSES[loss])).fit(np.zeros((4, 2)), y, epochs=1, verbose=0)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array"])
def test_sparse_is_dense_to_the_bit(rng, dtype, kind):
    sparse = pytest.importorskip("scipy.sparse")
    x = rng.standard_normal((60, 11)) * (rng.random((60, 11)) < 0.2)
    x[5] = 0
    y = rng.integers(0, 3, 60)
    given = getattr(sparse, kind)(x)
    trainers = []
    for features in (x, given):
        trainer = make_whole_batch_trainer(
            fastnn.MLP([11, 7, 3], dtype=dtype, seed=0), batch_size=16, shuffle=True
        )
        trainer.fit(features, y, epochs=3, validation_fraction=0.3, metrics="accuracy", verbose=0)
        trainers.append(trainer)
    ref, comp = trainers
    assert_same_parameters(comp, ref)
    for name in ("cost", "metric", "val_cost", "val_metric", "val_accuracy"):
        assert comp.history.to_dict()[name] == ref.history.to_dict()[name]
    assert comp.evaluate(given, y) == ref.evaluate(x, y)
    np.testing.assert_array_equal(comp.net.predict_raw(given), ref.net.predict_raw(x))
    np.testing.assert_array_equal(comp.losses(given, y), ref.losses(x, y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :3], "x has 3 features, but the network takes 4"),
        (lambda x: x[:0], "x is empty"),
        (lambda x: x * np.nan, "x has 240 values that are NaN"),
        (lambda x: x.astype(complex), "x has complex values"),
        (lambda x: x[:59], "x has 59 rows and y has 60"),
    ],
)
def test_bad_sparse(three_classes, change, message):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=message):
        make_whole_batch_trainer().fit(
            change(sparse.csr_matrix(three_classes[0])), three_classes[1], verbose=0
        )


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("gamma", [[0.0, 1, 1]], "y must be above 0 for loss 'gamma', but it holds 0"),
        ("poisson", [[-1.0, 1, 1]], "y must be at least 0 for loss 'poisson', but it holds -1"),
        ("kl_divergence", [[0.5, 0.5, 0.5]], "must sum to 1, but row 0 sums to 1.5"),
        ("hinge", [[-1, 1, 1]], "y holds the label -1, but the classes are 0 to 1"),
        ("cross_entropy", [[0.5, 0.25, 0.25]], r"y must have shape \(n,\)"),
        ("mse", [1.0], r"y must have shape \(n, 3\)"),
    ],
)
def test_targets_that_do_not_fit_the_loss(loss, y, message):
    with pytest.raises(ValueError, match=message):
        make_whole_batch_trainer(loss=loss).fit(np.zeros((1, 4)), y, verbose=0)
