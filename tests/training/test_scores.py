"""Figures of epochs: metrics and norms."""

import pickle

import numpy as np
import pytest

import fastnn
from training.examples import (
    assert_same_parameters,
    make_whole_batch_trainer,
)


def test_metrics_by_name_and_function(three_classes):
    metrics = pytest.importorskip("sklearn.metrics")

    def share_right(y_true, y_pred):
        return (y_true == y_pred).mean()

    x, y = three_classes
    trainer = make_whole_batch_trainer(batch_size=16)
    names = ["accuracy", "neg_log_loss", "f1_macro", share_right, metrics.cohen_kappa_score]
    history = trainer.fit(x, y, epochs=2, validation_data=(x[:20], y[:20]), metrics=names, verbose=0)
    net, last = trainer.net, history.epochs[-1].more
    assert list(last) == [
        *("val_accuracy", "val_neg_log_loss", "val_f1_macro", "val_share_right", "val_cohen_kappa_score")
    ]
    predicted = net.predict(x[:20])
    assert last["val_accuracy"] == last["val_share_right"] == history.epochs[-1].val_metric
    assert last["val_neg_log_loss"] == pytest.approx(-history.epochs[-1].val_cost, rel=1e-12)
    assert last["val_f1_macro"] == metrics.f1_score(y[:20], predicted, average="macro")
    assert last["val_cohen_kappa_score"] == metrics.cohen_kappa_score(y[:20], predicted)
    assert list(history.to_dict())[-5:] == list(last)
    with_training_rows = trainer.fit(x, y, epochs=1, metrics="accuracy", verbose=0)
    assert with_training_rows.epochs[-1].more == {"accuracy": trainer.evaluate(x, y)["accuracy"]}


def test_margins_are_ranked(three_classes):
    """A hinge has no probabilities, but what ranks can judge its margins."""
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = three_classes[0], (three_classes[1] > 0).astype(int)
    trainer = make_whole_batch_trainer(fastnn.MLP([4, 7, 1], seed=0), loss="hinge")
    history = trainer.fit(x, y, epochs=50, metrics=["roc_auc", "accuracy"], verbose=0)
    margins = trainer.net.predict_raw(x)[:, 0]
    more = history.epochs[-1].more
    assert 0.5 < more["roc_auc"] == pytest.approx(metrics.roc_auc_score(y, margins))
    assert more["accuracy"] == ((margins > 0) == y).mean() == trainer.evaluate(x, y)["accuracy"]


def cost(y_true, y_pred):
    return 0.0


def broken(y_true, y_pred):
    raise RuntimeError("cannot do that")


@pytest.mark.parametrize(
    ("metrics", "options", "error", "message"),
    [
        ("acuracy", {}, ValueError, "Did you mean 'accuracy'"),
        ("r2", {}, ValueError, "metric 'r2' cannot be used for a multiclass task"),
        (3, {}, TypeError, "a metric must be a name or a function"),
        ([cost], {}, ValueError, "need names of their own in the history, got cost"),
        (["accuracy", "accuracy"], {}, ValueError, "need names of their own"),
        ([broken], {}, ValueError, "a metric of broken does not fit: cannot do that"),
        ([broken], {"sample_weight": np.ones(60)}, ValueError, "'broken' does not take sample_weight"),
    ],
)
def test_bad_metrics(three_classes, metrics, options, error, message):
    trainer = make_whole_batch_trainer()
    before = trainer.net.params.copy()
    with pytest.raises(error, match=message):
        trainer.fit(*three_classes, metrics=metrics, verbose=0, **options)
    np.testing.assert_array_equal(trainer.net.params, before)
    assert len(trainer.history) == 0


def test_metrics_where_there_is_no_right_answer(three_classes):
    trainer = make_whole_batch_trainer(loss="kl_divergence")
    y = np.full((60, 3), 1 / 3)
    with pytest.raises(ValueError, match="metrics need one right answer per row"):
        trainer.fit(three_classes[0], y, metrics="accuracy", verbose=0)


def test_norms(three_classes):
    trainer = make_whole_batch_trainer(batch_size=16)
    _, grads, _ = make_whole_batch_trainer(net=pickle.loads(pickle.dumps(trainer.net))).gradient(
        three_classes[0][:16], three_classes[1][:16]
    )
    trainer = make_whole_batch_trainer(
        pickle.loads(pickle.dumps(trainer.net)), batch_size=16, optimizer=fastnn.SGD(lr=1e-300)
    )
    ref = make_whole_batch_trainer(batch_size=16, optimizer=fastnn.SGD(lr=1e-300))
    history = trainer.fit(*three_classes, epochs=1, record_norms=True, verbose=0)
    more = history.epochs[0].more
    for depth, (g, w) in enumerate(zip(grads, trainer.net.weights, strict=True)):
        assert more[f"layers.{depth}.grad_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-12)
        assert more[f"layers.{depth}.weight_norm"] == pytest.approx(np.linalg.norm(w), rel=1e-12)
    ref.fit(*three_classes, epochs=1, verbose=0)
    assert_same_parameters(trainer, ref)


def test_figures_do_not_depend_on_the_threads_of_blas():
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20_000, 2)), rng.standard_normal((20_000, 2))
    rows = x, y, rng.uniform(0.5, 2, 20_000)

    def train(optimizer):
        trainer = fastnn.Trainer(fastnn.MLP([2, 2], seed=0), loss="mse", optimizer=optimizer, seed=0)
        options = {"validation_data": rows, "metrics": "r2", "record_norms": True, "verbose": 0}
        history = trainer.fit(*rows[:2], epochs=1, sample_weight=rows[2], **options)
        last = history.epochs[-1]
        return last.metric, last.val_metric, *last.more.values(), trainer.evaluate(*rows[:2])

    def figures(n_threads):
        with limits(n_threads, "blas"):
            return train("sgd"), train("lbfgs")[:3]

    assert figures(1) == figures(2)
