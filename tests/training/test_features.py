"""What Trainer and fit offer, as one uses it: penalties, clipping, groups of batches, metrics, schedules."""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn import Callback
from fastnn.activations import NAMES
from fastnn.losses import LOSSES
from fastnn.optimizers import OPTIMIZERS
from fastnn.schedules import SCHEDULES, WarmUp, as_schedule

LR = 0.25


@pytest.fixture
def data(rng):
    return rng.standard_normal((60, 4)), rng.integers(0, 3, 60)


def make(net=None, dtype="float64", **options):
    net = net or fastnn.MLP([4, 7, 3], "tanh", dtype=dtype, seed=0)
    settings = {"loss": "cross_entropy", "optimizer": fastnn.SGD(lr=LR), "batch_size": None, "shuffle": False}
    return fastnn.Trainer(net, **settings | {"seed": 0} | options)


def one_step(data, dtype="float64", **options):
    """A trainer after a step, with the gradient of it without any option, and the weights before."""
    trainer = make(dtype=dtype, **options)
    _, *grads = make(dtype=dtype).gradient(*data)
    before = [array.copy() for array in (*trainer.net.weights, *trainer.net.biases)]
    trainer.fit(*data, epochs=1, verbose=0)
    return trainer, [g for part in grads for g in part], before


def all_of(net):
    return [*net.weights, *net.biases]


def assert_close(comp, ref):
    # One step of numbers of size 1.
    eps = 8 * np.finfo(comp[0].dtype).eps
    for array, expected in zip(comp, ref, strict=True):
        np.testing.assert_allclose(array, expected, rtol=eps, atol=eps)


def same_bits(comp, ref):
    for name, array in ref.net.parameters().items():
        np.testing.assert_array_equal(comp.net.parameters()[name], array, name)


# --- what a step is ---------------------------------------------------------------------------------


def test_l1_and_l2(data, dtype):
    l1, l2 = 3.0, 2.0
    trainer, grads, before = one_step(data, dtype, l1=l1, l2=l2)
    n_layers, n = len(trainer.net.weights), 60
    ref = [
        w - LR * (g + (l2 * w + l1 * np.sign(w)) / n * (k < n_layers))
        for k, (w, g) in enumerate(zip(before, grads, strict=True))
    ]
    assert_close(all_of(trainer.net), ref)
    penalty = sum(
        (l2 / 2 * w.astype(np.float64) ** 2 + l1 * abs(w.astype(np.float64))).sum() for w in before[:n_layers]
    )
    cost = make(dtype=dtype).gradient(*data)[0] + penalty / n
    assert trainer.history.epochs[0].cost == pytest.approx(cost, rel=1e-6 if dtype == "float32" else 1e-14)


def test_l1_makes_weights_small(data):
    comp, ref = make(l1=2.0), make()
    for trainer in (comp, ref):
        trainer.fit(*data, epochs=200, verbose=0)
    assert sum(abs(w).sum() for w in comp.net.weights) < 0.5 * sum(abs(w).sum() for w in ref.net.weights)


def test_clip_value(data, dtype):
    trainer, grads, before = one_step(data, dtype, clip_value=0.01)
    assert sum((abs(g) > 0.01).sum() for g in grads) > 10
    assert sum((abs(g) < 0.01).sum() for g in grads) > 10
    assert_close(
        all_of(trainer.net), [w - LR * np.clip(g, -0.01, 0.01) for w, g in zip(before, grads, strict=True)]
    )


@pytest.mark.parametrize("share", [0.1, 10.0])
def test_clip_norm(data, dtype, share):
    grads = one_step(data, "float64")[1]
    norm = math.sqrt(sum((g**2).sum() for g in grads))
    trainer, grads, before = one_step(data, dtype, clip_norm=share * norm)
    # PyTorch adds 1e-6 to the norm, and so does this.
    factor = min(1.0, share * norm / (norm + 1e-6))
    assert_close(all_of(trainer.net), [w - LR * factor * g for w, g in zip(before, grads, strict=True)])


def test_max_norm(data, dtype):
    trainer, grads, before = one_step(data, dtype, max_norm=0.7)
    ref = [w - LR * g for w, g in zip(before, grads, strict=True)]
    for k, w in enumerate(ref[:2]):
        norms = np.sqrt((w**2).sum(axis=0))
        assert (norms > 0.7).any()
        ref[k] = w * np.minimum(1, 0.7 / norms)
    assert_close(all_of(trainer.net), ref)
    trainer.fit(*data, epochs=10, verbose=0)
    for w in trainer.net.weights:
        assert np.sqrt((w.astype(np.float64) ** 2).sum(axis=0)).max() < 0.7 * (1 + 4 * np.finfo(dtype).eps)


def test_weight_decay_is_apart_from_the_gradient(data, dtype):
    trainer, grads, before = one_step(data, dtype, optimizer=fastnn.SGD(lr=LR, weight_decay=0.5))
    ref = [w - LR * g for w, g in zip(before, grads, strict=True)]
    for k in range(2):  # of weights, not of biases
        ref[k] = ref[k] - LR * 0.5 * before[k]
    assert_close(all_of(trainer.net), ref)


@pytest.mark.parametrize(
    ("factors", "of_layers", "of_rest"),
    [
        ({0: 0.0}, (0, 1), (0, 1)),
        ({-1: 0.0}, (1, 0), (1, 0)),
        ({"bias": 0.0}, (1, 1), (0, 0)),
        ({0: 0.5, "bias": 3.0}, (0.5, 1), (1.5, 3)),
        ({0: 0.0, 1: 0.0}, (0, 0), (0, 0)),
    ],
)
def test_rate_factors(data, dtype, factors, of_layers, of_rest):
    trainer, grads, before = one_step(data, dtype, rate_factors=factors)
    ref = [w - LR * f * g for w, g, f in zip(before, grads, of_layers + of_rest, strict=True)]
    assert_close(all_of(trainer.net), ref)


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_a_factor_of_0_freezes_to_the_bit(data, optimizer):
    net = fastnn.MLP([4, 7, 6, 3], ["prelu", "tanh"], norm="layer", seed=0)
    before = {name: array.copy() for name, array in net.parameters().items()}
    options = {"l1": 0.1, "l2": 0.1, "clip_norm": 1.0, "average": fastnn.EMA(0.5)}
    make(net, optimizer=optimizer, rate_factors={0: 0, 2: 0}, **options).fit(*data, epochs=3, verbose=0)
    for name, array in net.parameters().items():
        assert (array == before[name]).all() == ("layers.1." not in name), name


@pytest.mark.parametrize("optimizer", [fastnn.SGD(lr=0.1, momentum=0.9), fastnn.Adam(lr=0.01)])
@pytest.mark.parametrize("options", [{}, {"l1": 0.3, "clip_norm": 0.2}], ids=str)
def test_accumulate_is_a_larger_batch(data, dtype, optimizer, options):
    """Batches of 7 in threes beside batches of 21; the last ones are 18 rows: 7, 7 and 4."""
    weights = np.arange(60) % 5
    options = {"optimizer": optimizer, "l2": 0.5, "dtype": dtype} | options
    comp, ref = make(batch_size=7, accumulate=3, **options), make(batch_size=21, **options)
    for trainer in (comp, ref):
        trainer.fit(*data, epochs=4, sample_weight=weights, verbose=0)
    assert comp.state.n_updates == ref.state.n_updates == 12
    # Twelve updates of sums in another order; Adam divides by the size of a slope, however small.
    tol = 1e-4 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(comp.net.params, ref.net.params, rtol=tol, atol=tol)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array"])
def test_sparse_is_dense_to_the_bit(rng, dtype, kind):
    sparse = pytest.importorskip("scipy.sparse")
    x = rng.standard_normal((60, 11)) * (rng.random((60, 11)) < 0.2)
    x[5] = 0
    y = rng.integers(0, 3, 60)
    given = getattr(sparse, kind)(x)
    trainers = []
    for features in (x, given):
        trainer = make(fastnn.MLP([11, 7, 3], dtype=dtype, seed=0), batch_size=16, shuffle=True)
        trainer.fit(features, y, epochs=3, validation_fraction=0.3, metrics="accuracy", verbose=0)
        trainers.append(trainer)
    ref, comp = trainers
    same_bits(comp, ref)
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
def test_bad_sparse(data, change, message):
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match=message):
        make().fit(change(sparse.csr_matrix(data[0])), data[1], verbose=0)


# --- schedules --------------------------------------------------------------------------------------


class Rates(Callback):
    def __init__(self):
        self.seen = []

    def on_batch_end(self, trainer, batch):
        self.seen.append(batch.lr)


@pytest.mark.parametrize(
    "schedule",
    [name for name in SCHEDULES if name not in ("plateau", "adaptive")]
    + [WarmUp("cosine", steps=5), lambda epoch, lr: lr / (1 + epoch)],
)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_rates_of_steps_are_the_schedules(data, schedule, accumulate):
    rates = Rates()
    trainer = make(batch_size=16, schedule=schedule, accumulate=accumulate)
    history = trainer.fit(*data, epochs=5, callbacks=rates, verbose=0)
    n_updates = -(-4 // accumulate)
    ref = [
        rate
        for epoch in range(5)
        for rate in as_schedule(schedule).rates(LR, epoch, 5, n_updates, 60 * epoch, {})
    ]
    assert rates.seen == np.repeat(ref, accumulate).tolist()
    assert history.to_dict()["lr"] == rates.seen[3::4]
    plain = make(batch_size=16, schedule=schedule, accumulate=accumulate)
    plain.fit(*data, epochs=5, verbose=0)
    same_bits(plain, trainer)


def test_a_rate_is_that_of_its_step(data):
    """SGD moves by rate times slope: with a rate of 0 in between, by nothing."""
    moved = []

    class Moves(Callback):
        def on_batch_end(self, trainer, batch):
            moved.append(trainer.net.params.copy())

    schedule = fastnn.schedules.Function(lambda epoch, lr: lr * (round(4 * epoch) % 2))
    trainer = make(batch_size=16, schedule=schedule)
    moved.append(trainer.net.params.copy())
    trainer.fit(*data, epochs=2, callbacks=Moves(), verbose=0)
    assert [(a != b).any() for a, b in pairwise(moved)] == [False, True] * 4


def test_a_plateau_is_followed(data):
    schedule = fastnn.schedules.Plateau(factor=0.5, patience=2, min_delta=1e9)
    history = make(schedule=schedule).fit(*data, epochs=6, validation_data=data, verbose=0)
    # The first figure is no improvement on nothing by so much: epochs 1 and 2 are without, 3 and 4, ...
    assert history.to_dict()["lr"] == [0.25, 0.25, 0.25, 0.125, 0.125, 0.0625]


# --- metrics ----------------------------------------------------------------------------------------


def test_metrics_by_name_and_function(data):
    metrics = pytest.importorskip("sklearn.metrics")

    def share_right(y_true, y_pred):
        return (y_true == y_pred).mean()

    x, y = data
    trainer = make(batch_size=16)
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


def test_margins_are_ranked(data):
    """A hinge has no probabilities, but what ranks can judge its margins."""
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = data[0], (data[1] > 0).astype(int)
    trainer = make(fastnn.MLP([4, 7, 1], seed=0), loss="hinge")
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
def test_bad_metrics(data, metrics, options, error, message):
    trainer = make()
    before = trainer.net.params.copy()
    with pytest.raises(error, match=message):
        trainer.fit(*data, metrics=metrics, verbose=0, **options)
    np.testing.assert_array_equal(trainer.net.params, before)
    assert len(trainer.history) == 0


def test_metrics_where_there_is_no_right_answer(data):
    trainer = make(loss="kl_divergence")
    y = np.full((60, 3), 1 / 3)
    with pytest.raises(ValueError, match="metrics need one right answer per row"):
        trainer.fit(data[0], y, metrics="accuracy", verbose=0)


def test_norms(data):
    trainer = make(batch_size=16)
    _, grads, _ = make(net=pickle.loads(pickle.dumps(trainer.net))).gradient(data[0][:16], data[1][:16])
    trainer = make(pickle.loads(pickle.dumps(trainer.net)), batch_size=16, optimizer=fastnn.SGD(lr=1e-300))
    ref = make(batch_size=16, optimizer=fastnn.SGD(lr=1e-300))
    history = trainer.fit(*data, epochs=1, record_norms=True, verbose=0)
    more = history.epochs[0].more
    for depth, (g, w) in enumerate(zip(grads, trainer.net.weights, strict=True)):
        assert more[f"layers.{depth}.grad_norm"] == pytest.approx(np.linalg.norm(g), rel=1e-12)
        assert more[f"layers.{depth}.weight_norm"] == pytest.approx(np.linalg.norm(w), rel=1e-12)
    ref.fit(*data, epochs=1, verbose=0)
    same_bits(trainer, ref)


# --- everything learns ------------------------------------------------------------------------------


def targets_of(loss, z):
    """What a loss takes, from three numbers of size 1 a row."""
    kind = LOSSES[loss].kind
    if kind == "class":
        return z.argmax(axis=1)
    if kind == "labels":
        return (z > 0).astype(int)
    if kind == "probabilities":
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return z if kind == "values" else np.exp(z)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains(rng, dtype, loss):
    x = rng.standard_normal((300, 5))
    y = targets_of(loss, np.tanh(x @ rng.standard_normal((5, 3))))
    net = fastnn.MLP([5, 24, 3], "tanh", dtype=dtype, seed=0)
    trainer = make(net, loss=loss, optimizer=fastnn.Adam(lr=0.02), batch_size=32, shuffle=True)
    guess = trainer.evaluate(x, y)
    history = trainer.fit(x, y, epochs=40, verbose=0)
    after = trainer.evaluate(x, y)
    # Cross entropy of given probabilities, Kullback-Leibler: the metric is the share that is right.
    least = 0.9 if history.metric_name == "accuracy" else 0.8
    assert after[history.metric_name] > least
    assert after["cost"] < 0.5 * guess["cost"]


@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "lbfgs"])
def test_every_optimizer_reduces_the_cost(data, dtype, optimizer):
    x, y = data
    net = fastnn.MLP([4, 16, 3], "tanh", dtype=dtype, seed=0)
    trainer = make(net, optimizer=optimizer, batch_size=8, shuffle=True)
    before = trainer.evaluate(x, y)["cost"]
    history = trainer.fit(x, y, epochs=60, verbose=0)
    assert history.epochs[-1].cost < 0.97 * before
    assert trainer.evaluate(x, y)["cost"] < history.epochs[0].cost


@pytest.mark.parametrize("fraction", [None, 0.25])
def test_lbfgs_finds_a_minimum(data, fraction):
    """A layer alone with a penalty has one, where the slope is 0; the rest of the trainer serves it, too."""
    x, y = data
    weights, events = 1 + np.arange(60) % 3, []
    net = fastnn.MLP([4, 3], dtype="float64", seed=0)
    trainer = make(net, optimizer=fastnn.LBFGS(tol=1e-8), l2=1.0, class_weight={0: 2.0})
    history = trainer.fit(
        x,
        y,
        epochs=200,
        sample_weight=weights,
        validation_fraction=fraction,
        metrics="accuracy",
        callbacks=lambda trainer, epoch: events.append(epoch),
        verbose=0,
    )
    assert history.stop_reason == "converged"
    assert events == history.epochs
    costs = history.to_dict()["cost"]
    assert costs == sorted(costs, reverse=True)
    if fraction is None:
        weights = weights * np.where(y == 0, 2.0, 1.0)
        cost, (grad_w,), (grad_b,) = trainer.gradient(x, y, sample_weight=weights)
        penalty = 0.5 * (net.weights[0] ** 2).sum() / weights.sum()
        assert np.abs(grad_w + net.weights[0] / weights.sum()).max() < 1e-8
        assert np.abs(grad_b).max() < 1e-8
        assert costs[-1] == pytest.approx(cost + penalty, rel=1e-12)
    else:
        assert trainer.n_rows == 45


def test_lbfgs_ends_as_others_do(data):
    trainer = make(optimizer="lbfgs")
    assert len(trainer.fit(*data, epochs=3, verbose=0)) == 3
    assert trainer.history.stop_reason == "epochs"
    trainer.fit(*data, epochs=9, callbacks=lambda trainer, epoch: trainer.stop("enough"), verbose=0)
    assert (len(trainer.history), trainer.history.stop_reason) == (4, "enough")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"l1": 0.1}, "l1"), ({"accumulate": 2}, "accumulate"), ({"schedule": "cosine"}, "a schedule")],
)
def test_lbfgs_refuses_what_it_cannot_do(options, message):
    with pytest.raises(ValueError, match=f"optimizer 'lbfgs' cannot be combined with {message}"):
        make(optimizer="lbfgs", **options)
    with pytest.raises(ValueError, match="cannot be combined with dropout"):
        make(fastnn.MLP([4, 7, 3], dropout=0.1), optimizer="lbfgs")


def test_lbfgs_writes_no_checkpoints(data, tmp_path):
    with pytest.raises(ValueError, match="checkpoint cannot be combined with optimizer 'lbfgs'"):
        make(optimizer="lbfgs").fit(*data, checkpoint=fastnn.Checkpoint(tmp_path), verbose=0)


@pytest.mark.parametrize("activation", [name for name in NAMES if name != "identity"])
def test_every_activation_learns_xor(dtype, activation):
    x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
    x = x * (8 if activation == "hard_sigmoid" else 1)  # which is linear from -3 to 3
    net = fastnn.MLP([2, 16, 2], activation, dtype=dtype, seed=0)
    history = make(net, optimizer=fastnn.Adam(lr=0.05)).fit(x, y, epochs=600, verbose=0)
    assert list(net.predict(x)) == list(y)
    assert history.epochs[-1].cost < 0.1  # guessing costs ln 2


def test_functions_of_ones_own(rng):
    """The same training as with the names they go by."""
    dtype = np.float64  # each is compiled anew

    def my_tanh(z):
        return math.tanh(z)

    def my_slope(z):
        return 1 - math.tanh(z) ** 2

    def my_loss(a, y):
        return (a - y) ** 2

    def my_loss_slope(a, y):
        return 2 * (a - y)

    x = rng.standard_normal((60, 4))
    y = np.sin(x[:, :2])
    costs = []
    for activation, loss in [
        ("tanh", "mse"),
        (fastnn.Activation(my_tanh, my_slope), fastnn.Loss(my_loss, my_loss_slope)),
        (fastnn.Activation(my_tanh), fastnn.Loss(my_loss)),
    ]:
        net = fastnn.MLP([4, 7, 2], activation, dtype=dtype, seed=0, init="glorot_uniform")
        history = make(net, loss=loss, batch_size=16).fit(x, y, epochs=10, verbose=0)
        costs.append(history.to_dict()["cost"])
    # Other forms of tanh: some eps over 40 steps; slopes as differences are good to about eps ** (2/3).
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(costs[1], costs[0], rtol=200 * eps)
    np.testing.assert_allclose(costs[2], costs[0], rtol=100 * eps ** (2 / 3))
    assert costs[0][-1] < 0.5 * costs[0][0]


@pytest.mark.parametrize(
    ("options", "least"),
    # Of the other half, over ten seeds: 0.952 to 0.961, 0.959 to 0.972, 0.967 to 0.977, 0.950 to 0.967.
    [
        ({"dropout": 0.2, "input_dropout": 0.1}, 0.94),
        ({"norm": "batch"}, 0.945),
        ({"norm": "layer"}, 0.955),
        ({"norm": "batch", "residual": True, "dropout": 0.1, "activation": "silu"}, 0.935),
    ],
    ids=str,
)
def test_digits(dtype, options, least):
    datasets = pytest.importorskip("sklearn.datasets")
    x, y = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order] / 16, y[order]
    net = fastnn.MLP([64, 64, 64, 10], dtype=dtype, seed=0, **options)
    trainer = make(net, optimizer=fastnn.Adam(lr=3e-3), batch_size=64, shuffle=True)
    trainer.fit(x[::2], y[::2], epochs=25, verbose=0)
    assert (net.predict(x[1::2]) == y[1::2]).mean() > least


# --- the trainer as a thing -------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", fastnn.NAdam(lr=0.01, weight_decay=0.1)])
def test_pickled_between_two_calls(data, optimizer):
    """Addresses of kernels stay behind; all that was learnt goes along."""
    options = {"optimizer": optimizer, "batch_size": 16, "shuffle": True, "accumulate": 2, "clip_norm": 1.0}
    net = fastnn.MLP([4, 7, 3], "mish", dropout=0.1, norm="batch", seed=0)
    trainer = make(net, loss=fastnn.Loss("focal"), max_norm=1.0, **options)
    trainer.fit(*data, epochs=3, verbose=0)
    copied = pickle.loads(pickle.dumps(trainer))
    for each in (trainer, copied):
        each.fit(*data, epochs=3, verbose=0)
    same_bits(copied, trainer)
    assert copied.history.to_dict()["cost"] == trainer.history.to_dict()["cost"]


def test_a_pickle_holds_no_address(data, run_python, tmp_path):
    """Another process would call into the void."""
    trainer = make(fastnn.MLP([4, 7, 3], "mish", seed=0), loss=fastnn.Loss("focal"), optimizer="lion")
    trainer.fit(*data, epochs=1, verbose=0)
    (tmp_path / "trainer").write_bytes(pickle.dumps([trainer, *data]))
    trainer.fit(*data, epochs=1, verbose=0)
    code = f"""
import pickle
trainer, x, y = pickle.load(open({str(tmp_path / "trainer")!r}, "rb"))
print(trainer.fit(x, y, epochs=1, verbose=0).epochs[-1].cost.hex())
"""
    assert run_python(code).stdout == trainer.history.epochs[-1].cost.hex() + "\n"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1": -1}, ValueError, r"l1 must lie in \[0, inf\)"),
        ({"l1": "1"}, TypeError, "l1 must be a number"),
        ({"clip_value": 0}, ValueError, r"clip_value must lie in \(0, inf\)"),
        ({"clip_norm": -1}, ValueError, "clip_norm must lie"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm must lie"),
        ({"max_norm": 0.0}, ValueError, "max_norm must lie"),
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1"),
        ({"rate_factors": {2: 0.5}}, ValueError, "key 2: expected .* or a layer from -2 to 1"),
        ({"rate_factors": {"biases": 0.5}}, ValueError, "key 'biases'"),
        ({"rate_factors": {0: -1}}, ValueError, r"rate_factors\[0\] must lie"),
        ({"rate_factors": [1, 0]}, TypeError, "rate_factors must be a dict"),
        ({"schedule": "cosin"}, ValueError, "Did you mean 'cosine'"),
        ({"schedule": 0.1}, TypeError, "schedule must be one of"),
        ({"loss": fastnn.Loss("quantile", levels=[0.1, 0.9])}, ValueError, "2 levels, .* 3 outputs"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        make(**options)


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
        make(loss=loss).fit(np.zeros((1, 4)), y, verbose=0)
