"""Rows to train on and to validate on: folds, drawn rows, sparse rows, and what is refused."""

import math

import numpy as np
import pytest

from fastnn.tuning import tune
from tuning.searches import HELD_OUT, ROWS, SPACE, search

pytest.importorskip("optuna")


def test_folds_are_averaged():
    pytest.importorskip("sklearn")
    halves = [(np.arange(0, 80), np.arange(80, 160)), (np.arange(80, 160), np.arange(0, 80))]
    x, y = ROWS
    both = search(validation_data=None, folds=halves, n_trials=1)
    alone = [
        search(validation_data=(x[val], y[val]), folds=None, n_trials=1) for _, val in halves
    ]  # trained on all rows: only to see that the means are of two
    assert both.trials[0].score != alone[0].trials[0].score
    single = [search(validation_data=None, folds=[pair], n_trials=1).score for pair in halves]
    assert both.score == pytest.approx(np.mean(single))
    assert len(search(validation_data=None, folds=3, n_trials=7).trials) == 7


def test_rows_are_held_out_where_none_are_given():
    pytest.importorskip("sklearn")
    result = search(validation_data=None, n_trials=1)
    assert math.isfinite(result.score)


@pytest.mark.parametrize(
    ("loss", "y", "n_out"),
    [
        ("mse", ROWS[0][:, 0], 1),
        ("mse", ROWS[0][:, :2], 2),
        ("binary_cross_entropy", ROWS[1], 1),
        ("cross_entropy", ROWS[1] * 2, 3),
        ("kl_divergence", np.full((160, 3), 1 / 3), 3),
    ],
)
def test_losses_tell_the_outputs(loss, y, n_out):
    result = tune(
        ROWS[0], y, loss=loss, validation_data=(ROWS[0], y), n_trials=2, epochs=2, space=SPACE, verbose=0
    )
    assert result.make_trainer().net.sizes[-1] == n_out
    assert ("label_smoothing" in result.study.user_attrs["searched"]) == loss.endswith("cross_entropy")


def test_sparse_rows_and_embeddings():
    sparse = pytest.importorskip("scipy.sparse")
    x, y = ROWS
    rows = sparse.csr_matrix(np.where(x > 0, x, 0))
    options = {"loss": "cross_entropy", "n_trials": 2, "epochs": 2, "space": SPACE, "verbose": 0}
    dense = tune(rows.toarray(), y, validation_data=HELD_OUT, **options)
    result = tune(rows, y, validation_data=HELD_OUT, **options)
    assert result.score == pytest.approx(dense.score, rel=1e-4)
    categories = np.abs(x).astype(int).astype(np.float32)
    result = tune(categories, y, validation_data=(categories, y), embeddings={0: (9, 3)}, **options)
    assert result.make_trainer().net.embeddings == {0: (9, 3)}


def test_bad_rows():
    with pytest.raises(ValueError, match="LabelEncoder"):
        tune(ROWS[0], np.array(["a", "b"] * 80), loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="x must have 2 dimensions"):
        tune(ROWS[1], ROWS[1], loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="x has 160 rows and y has 3"):
        tune(ROWS[0], [0, 1, 0], loss="cross_entropy", validation_data=HELD_OUT)
    for rows in (([[1], [1, 2]], [0, 1]), ([[1], [2]], [[0], [0, 1]])):
        with pytest.raises(ValueError, match="cannot be converted to an array: its rows differ in shape"):
            tune(*rows, loss="cross_entropy", validation_data=HELD_OUT)
    with pytest.raises(ValueError, match="NaN"):
        tune(np.full((4, 2), np.nan), [0, 1, 0, 1], loss="cross_entropy", validation_data=HELD_OUT)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_out": 1}, ValueError, "needs one output per class"),
        ({"folds": 3}, ValueError, "validation_data and folds cannot be combined"),
        ({"validation_data": 3}, TypeError, r"must be a tuple \(x_val, y_val\)"),
        ({"validation_data": (HELD_OUT[0][:, :3], HELD_OUT[1])}, ValueError, "x_val has 3 feat"),
        ({"validation_data": None, "folds": 1}, ValueError, "folds must be at least 2"),
        ({"validation_data": None, "folds": 10**6}, ValueError, "folds must be at most"),
        ({"validation_data": None, "folds": []}, ValueError, "folds is empty"),
        ({"validation_data": None, "folds": [3]}, TypeError, "must be a pair"),
        ({"validation_data": None, "folds": [([0, 1], [])]}, ValueError, "two non-empty arrays"),
        ({"validation_data": None, "folds": [([0, 1], [500])]}, ValueError, "holds row 500"),
        ({"validation_data": None, "folds": [([0, 1], [-1, 3])]}, ValueError, "holds row -1, but x has"),
        ({"validation_data": None, "folds": [([0, 1], [1, 2])]}, ValueError, "both to train on and to"),
    ],
)  # fmt: skip
def test_bad_splits(options, error, message):
    with pytest.raises(error, match=message):
        search(**options)
