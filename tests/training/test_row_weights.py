"""Weights of rows and classes: what they mean in training, in its figures and in validation."""

import numpy as np
import pytest

import fastnn
from fastnn._jit import compile_seconds
from fastnn.training import scores

WHOLE = {"batch_size": None, "shuffle": False}


@pytest.fixture
def rows(rng):
    """40 rows of three classes, weights that are whole numbers from 0 to 3."""
    return rng.standard_normal((40, 4)), rng.integers(0, 3, 40), rng.integers(0, 4, 40)


def make(loss="cross_entropy", n_out=3, dtype="float64", **options):
    net = fastnn.MLP([4, 6, n_out], "tanh", dtype=dtype, seed=0)
    return fastnn.Trainer(net, **{"loss": loss, "optimizer": fastnn.SGD(lr=0.5), "seed": 0} | options)


def train(x, y, weights=None, **options):
    trainer = make(**options)
    trainer.fit(x, y, epochs=5, sample_weight=weights, verbose=0)
    return trainer


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "huber"])
def test_a_weight_is_a_number_of_copies(rows, dtype, loss):
    x, y, weights = rows
    n_out = 3 if loss == "cross_entropy" else 1
    options = {"loss": loss, "n_out": n_out, "l2": 0.5, "dtype": dtype, **WHOLE}
    comp, ref = train(x, y, weights, **options), train(np.repeat(x, weights, 0), y.repeat(weights), **options)
    # Five steps of sums in another order.
    rtol = 50 * float(np.finfo(dtype).eps)
    np.testing.assert_allclose(comp.net.params, ref.net.params, rtol=rtol, atol=rtol)
    for name in ("cost", "metric"):
        np.testing.assert_allclose(
            comp.history.to_dict()[name], ref.history.to_dict()[name], rtol=rtol, atol=rtol
        )
    counted = comp.evaluate(x, y, sample_weight=weights)
    repeated = ref.evaluate(np.repeat(x, weights, 0), y.repeat(weights))
    assert counted == pytest.approx(repeated, rel=rtol, abs=rtol)


def test_only_proportions_count(rows):
    x, y, weights = rows
    comp, ref = train(x, y, 1024.0 * weights, batch_size=7), train(x, y, weights, batch_size=7)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    one = train(x, y, np.full(40, 4.0), batch_size=7)
    np.testing.assert_array_equal(one.net.params, train(x, y, batch_size=7).net.params)


def test_a_batch_that_weighs_nothing_changes_nothing(rows):
    x, y, _ = rows
    weights = np.repeat([0.0, 1.0], 20)
    comp = train(x, y, weights, batch_size=20, shuffle=False)
    ref = train(x[20:], y[20:], batch_size=20, shuffle=False)
    np.testing.assert_allclose(comp.net.params, ref.net.params, rtol=1e-14)


def test_the_epochs_figures_are_weighted(rows):
    x, y, weights = rows
    trainer = make(optimizer=fastnn.SGD(lr=1e-300), **WHOLE)  # leaves the weights as they are
    validation = (x[:9], y[:9], weights[:9])
    (epoch,) = trainer.fit(
        x, y, epochs=1, sample_weight=weights, validation_data=validation, verbose=0
    ).epochs
    losses, right = trainer.losses(x, y), trainer.net.predict(x) == y
    assert epoch.cost == pytest.approx(np.average(losses, weights=weights), rel=1e-14)
    assert epoch.metric == pytest.approx(np.average(right, weights=weights), rel=1e-14)
    assert epoch.val_cost == pytest.approx(np.average(losses[:9], weights=weights[:9]), rel=1e-14)
    assert epoch.val_metric == pytest.approx(np.average(right[:9], weights=weights[:9]), rel=1e-14)


def test_r2_is_weighted(rows):
    metrics = pytest.importorskip("sklearn.metrics")
    x, y, weights = rows
    trainer = make("mse", 1, optimizer=fastnn.SGD(lr=1e-300), **WHOLE)
    (epoch,) = trainer.fit(x, y, epochs=1, sample_weight=weights, metrics="r2", verbose=0).epochs
    ref = metrics.r2_score(y, trainer.net.predict(x), sample_weight=weights)
    assert epoch.metric == pytest.approx(ref, rel=1e-12)
    assert epoch.more["r2"] == pytest.approx(ref, rel=1e-12)


def test_held_out_rows_keep_their_weights(rows, monkeypatch):
    x, y, weights = rows
    trainer = make(batch_size=8)
    score, scored = scores.cost_and_metric, []
    monkeypatch.setattr(
        scores, "cost_and_metric", lambda core, source: scored.append(source.rows) or score(core, source)
    )
    history = trainer.fit(x, y, epochs=1, sample_weight=weights, validation_fraction=0.25, verbose=0)
    indices = scored[0].data.indices
    ref = np.average(trainer.losses(x[indices], y[indices]), weights=weights[indices])
    assert history.epochs[0].val_cost == pytest.approx(ref, rel=1e-14)


# --- classes ----------------------------------------------------------------------------------------


def test_classes_weigh_as_their_rows_would(rows):
    x, y, weights = rows
    of_class = np.array([0.5, 2.0, 1.0])
    ref = train(x, y, of_class[y], batch_size=7)
    comp = train(x, y, class_weight={0: 0.5, np.int64(1): 2}, batch_size=7)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    both = train(x, y, weights, class_weight={0: 0.5, 1: 2}, batch_size=7)
    np.testing.assert_array_equal(
        both.net.params, train(x, y, weights * of_class[y], batch_size=7).net.params
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_balanced(rng, n_classes):
    y = np.repeat(np.arange(n_classes), [20, 10, 5][:n_classes])
    x = rng.standard_normal((len(y), 4))
    loss, n_out = ("cross_entropy", 3) if n_classes == 3 else ("binary_cross_entropy", 1)
    options = {"loss": loss, "n_out": n_out, "batch_size": 7}
    ref = train(x, y, len(y) / (n_classes * np.bincount(y)[y]), **options)
    comp = train(x, y, class_weight="balanced", **options)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)


def test_validation_does_not_weigh_classes(rows):
    x, y, _ = rows
    trainer = make(class_weight={0: 100.0})
    history = trainer.fit(x, y, epochs=1, validation_data=(x, y), verbose=0)
    assert history.epochs[0].val_cost == pytest.approx(trainer.losses(x, y).mean(), rel=1e-14)


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(39), r"sample_weight must have shape \(40,\)"),
        (np.ones((40, 1)), r"sample_weight must have shape \(40,\)"),
        (-np.ones(40), "sample_weight must be at least 0, .* it holds -1"),
        (np.zeros(40), "sample_weight must be at least 0, .* are all 0"),
        (np.full(40, np.nan), "sample_weight has 40 values that are NaN"),
        (np.full(40, np.inf), "sample_weight has 40 values that are NaN or infinite"),
        (["a"] * 40, "sample_weight must be numeric"),
    ],
)
def test_bad_weights(rows, weights, message):
    x, y, _ = rows
    with pytest.raises(ValueError, match=message):
        make().fit(x, y, sample_weight=weights, verbose=0)
    with pytest.raises(ValueError, match=message.replace("sample_weight", "weight_val")):
        make().fit(x, y, validation_data=(x, y, weights), verbose=0)


def test_rows_that_weigh_nothing_together(rows):
    x, y, _ = rows
    with pytest.raises(ValueError, match="the weights of all rows to train on are 0"):
        make(class_weight={0: 0, 1: 0, 2: 0}).fit(x, y, verbose=0)
    weights = np.eye(40)[0]
    with pytest.raises(ValueError, match=r"the weights of all rows to (train on|validate with) are 0"):
        make().fit(x, y, sample_weight=weights, validation_fraction=0.5, verbose=0)


def test_weights_that_cannot_be_written_compile_nothing(rows):
    x, y, weights = rows
    train(x, y, weights)
    before = compile_seconds()
    weights = weights.astype(np.float64)
    weights.flags.writeable = False
    train(x, y, weights)
    assert compile_seconds() == before
