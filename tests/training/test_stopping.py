"""When training ends, with which weights, and who may end it."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import Callback, DivergenceError, EarlyStopping
from fastnn.history import Epoch
from fastnn.schedules import Adaptive, Plateau
from fastnn.training.stopping import Best


@pytest.fixture
def noise(rng):
    """Rows of which nothing can be learnt, and others to see that on."""
    x, y = rng.standard_normal((2, 40, 5)), rng.integers(0, 2, (2, 40))
    return x[0], y[0], (x[1], y[1])


def make(**options):
    net = fastnn.MLP([5, 32, 2], seed=0)
    options = {"optimizer": fastnn.Adam(lr=0.01), "seed": 0} | options
    return fastnn.Trainer(net, **{"loss": "cross_entropy"} | options)


# --- the rule ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "costs", "stop", "best"),
    [
        ({"patience": 2}, [5, 4, 4.5, 4.2, 3], 4, 2),
        ({"patience": 2}, [5, 4, 4.5, 3.9, 4, 4], 6, 4),
        ({"patience": 1}, [5, 5], 2, 1),  # the same again is no improvement
        ({"patience": 2, "min_delta": 1.0}, [5, 4, 3.5, 3.2, 2], 4, 4),
        ({"patience": 2, "min_delta": 1.0}, [5, 4, 3.5, 2.5, 1.5], None, 5),
        ({"patience": 2}, [5, math.nan, math.nan, 4], 3, 1),
        ({"patience": 3}, [math.nan, math.nan, 2], None, 3),
    ],
)
@pytest.mark.parametrize("falls", [True, False])
def test_patience(options, costs, stop, best, falls):
    """Beside costs that should fall, the same negated, which should rise."""
    rule = EarlyStopping("cost", **options)
    weights = np.zeros(1)
    watcher = Best(rule, [weights], falls)
    stopped = None
    for number, cost in enumerate(costs, 1):
        weights[0] = number
        epoch = Epoch(number, cost if falls else -cost, 0.0, None, None, 1.0, 1.0)
        if watcher.observe(epoch, [weights]):
            stopped = number
            break
    assert stopped == stop
    assert watcher.restore([weights]) == best
    assert weights[0] == best


def test_without_a_finite_figure_nothing_is_restored():
    weights = np.zeros(1)
    watcher = Best(EarlyStopping("cost"), [weights], True)
    assert not watcher.observe(Epoch(1, math.nan, 0.0, None, None, 1.0, 1.0), [weights])
    assert watcher.restore([weights]) is None


# --- in training ------------------------------------------------------------------------------------


def share_of_ones(y_true, y_pred):
    return y_pred.mean()


def wrong_error(y_true, y_pred):
    return (y_true != y_pred).mean()


@pytest.mark.parametrize(
    ("monitor", "best"),
    [
        ("val_cost", np.argmin),
        ("val_metric", np.argmax),
        ("cost", np.argmin),
        ("metric", np.argmax),
        ("val_roc_auc", np.argmax),
        ("val_neg_log_loss", np.argmax),
        ("val_share_of_ones", np.argmax),
        ("val_wrong_error", np.argmin),  # by its name it should fall
    ],
)
def test_the_best_epoch_of_any_figure(noise, monitor, best):
    pytest.importorskip("sklearn")
    x, y, validation = noise
    trainer = fastnn.Trainer(
        fastnn.MLP([5, 32, 1], seed=0),
        loss="binary_cross_entropy",
        optimizer=fastnn.Adam(lr=0.01),
        batch_size=8,
        seed=0,
    )
    kept = {}
    history = trainer.fit(
        x,
        y,
        epochs=30,
        validation_data=validation,
        early_stopping=EarlyStopping(monitor, patience=6),
        metrics=["roc_auc", "neg_log_loss", share_of_ones, wrong_error],
        callbacks=lambda trainer, epoch: kept.update({epoch.epoch: trainer.net.params.copy()}),
        verbose=0,
    )
    figures = history.to_dict()[monitor]
    assert history.best_epoch == 1 + best(figures)
    np.testing.assert_array_equal(trainer.net.params, kept[history.best_epoch])
    if history.stop_reason == "early stopping":
        assert len(figures) == history.best_epoch + 6
    else:
        assert len(figures) == 30


def test_of_training_rows_where_none_are_held_out(noise):
    x, y, _ = noise
    rule = EarlyStopping("wrong_error", patience=3)
    history = make().fit(x, y, epochs=100, metrics=wrong_error, early_stopping=rule, verbose=0)
    errors = history.to_dict()["wrong_error"]
    assert history.stop_reason == "early stopping"
    assert history.best_epoch == 1 + np.argmin(errors) == len(errors) - 3


def test_every_call_looks_for_its_own_best(noise):
    x, y, validation = noise
    trainer, rule = make(), EarlyStopping(patience=3)
    for _ in range(2):
        before = len(trainer.history)
        history = trainer.fit(x, y, epochs=60, validation_data=validation, early_stopping=rule, verbose=0)
        costs = history.to_dict()["val_cost"][before:]
        assert history.best_epoch == before + 1 + np.argmin(costs)
        assert trainer.evaluate(*validation)["cost"] == min(costs)


def test_a_schedule_may_stop(noise):
    x, y, _ = noise
    trainer = make(schedule=Adaptive(patience=1, min_delta=10, min_lr=0.003))
    history = trainer.fit(x, y, epochs=50, verbose=0)
    assert history.stop_reason == "schedule"
    assert history.to_dict()["lr"] == pytest.approx([0.01, 0.01, 0.002])


def test_divergence_restores_the_best(rng):
    x = rng.standard_normal((40, 5))

    class Blow(Callback):
        def on_epoch_end(self, trainer, epoch):
            if epoch.epoch == 3:
                trainer.lr = 1e30

    trainer = fastnn.Trainer(fastnn.MLP([5, 8, 5], seed=0), loss="mse", optimizer=fastnn.SGD(), seed=0)
    with pytest.raises(DivergenceError):
        trainer.fit(x, x, epochs=90, early_stopping=EarlyStopping("cost"), callbacks=Blow(), verbose=0)
    assert trainer.history.stop_reason == "diverged"
    assert trainer.history.best_epoch == 3
    assert np.abs(trainer.net.params).max() < 100


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"early_stopping": EarlyStopping("val_f1")}, ValueError, "monitor of early_stopping must be one of"),
        ({"early_stopping": EarlyStopping("val_roc_auc")}, ValueError, "must be one of .*, roc_auc, got"),
        ({"early_stopping": EarlyStopping("val_metric")}, ValueError, "'val_metric', but there is no valid"),
        ({"early_stopping": "val_cost"}, TypeError, r"early_stopping must be a fastnn\.EarlyStopping"),
        ({"early_stopping": EarlyStopping}, TypeError, r"early_stopping must be a fastnn\.EarlyStopping"),
    ],
)
def test_bad_rules(noise, options, error, message):
    x, y, _ = noise
    trainer = fastnn.Trainer(fastnn.MLP([5, 1], seed=0), loss="binary_cross_entropy")
    with pytest.raises(error, match=message):
        trainer.fit(x, y, metrics="roc_auc", verbose=0, **options)
    assert len(trainer.history) == 0


@pytest.mark.parametrize("schedule", [Plateau(), "plateau"])
def test_a_schedule_that_has_nothing_to_follow(noise, schedule):
    x, y, _ = noise
    with pytest.raises(ValueError, match="schedule monitors 'val_cost', but there is no validation_data"):
        make(schedule=schedule).fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"patience": 0}, ValueError, "patience must be at least 1"),
        ({"patience": 1.5}, TypeError, "patience must be an integer"),
        ({"min_delta": -1}, ValueError, "min_delta must lie"),
        ({"monitor": None}, TypeError, "monitor must be a name"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        EarlyStopping(**options)


# --- callbacks --------------------------------------------------------------------------------------


class Events(Callback):
    """Note what is told, and act at one of them."""

    def __init__(self, at=None, act=None):
        self.told, self.at, self.act = [], at, act

    def note(self, trainer, event):
        self.told.append(event)
        if event == self.at:
            self.act(trainer)

    def on_fit_begin(self, trainer):
        self.note(trainer, "begin")

    def on_epoch_begin(self, trainer):
        self.note(trainer, f"epoch {len(trainer.history) + 1}")

    def on_batch_end(self, trainer, batch):
        self.note(trainer, f"batch {batch.step} of {batch.epoch}")

    def on_epoch_end(self, trainer, epoch):
        assert trainer.history.epochs[-1] is epoch
        self.note(trainer, f"end {epoch.epoch}")

    def on_fit_end(self, trainer):
        self.note(trainer, "end")


ALL = [
    "begin",
    *("epoch 1", "batch 1 of 1", "batch 2 of 1", "end 1"),
    *("epoch 2", "batch 3 of 2", "batch 4 of 2", "end 2"),
    "end",
]


def test_all_events_in_order(noise):
    x, y, _ = noise
    events = Events()
    make().fit(x, y, epochs=2, callbacks=events, verbose=0)
    assert events.told == ALL


@pytest.mark.parametrize("event", ALL[:-1])
def test_stop_in_any_event(noise, event):
    """At once within an epoch, which then does not count; after its end it does."""
    x, y, _ = noise
    events = Events(event, lambda trainer: trainer.stop("I say so"))
    trainer = make()
    history = trainer.fit(x, y, epochs=2, callbacks=events, verbose=0)
    ends = [*ALL[: ALL.index(event) + 1]]
    if event in ("batch 2 of 1", "batch 4 of 2"):  # the last of its epoch
        ends.append(event.replace("batch 2 of", "end").replace("batch 4 of", "end"))
    assert events.told == [*ends, "end"]
    assert history.stop_reason == "I say so"
    assert len(history) == sum(told.startswith("end ") for told in events.told)
    n_batches = sum(told.startswith("batch") for told in events.told)
    history = trainer.fit(x, y, epochs=1, callbacks=Events(f"batch {n_batches + 2} of 9"), verbose=0)
    assert history.stop_reason == "epochs"


@pytest.mark.parametrize("event", ALL)
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.filterwarnings("ignore:Training was interrupted")
def test_an_error_in_any_event(noise, event, error):
    """Training ends, on_fit_end is told, and the trainer can go on as if it had been stopped there."""
    x, y, _ = noise

    def fail(trainer):
        raise error("mine")

    def stop(trainer):
        trainer.stop()

    events, last, trainer, stopped = Events(event, fail), Events(), make(), make()
    try:
        trainer.fit(x, y, epochs=2, callbacks=[last, events], verbose=0)
    except error:
        assert error is RuntimeError or event == "end"
    assert last.told[-1] == "end"
    reason = "error" if error is RuntimeError else "interrupted"
    assert trainer.history.stop_reason == ("epochs" if event == "end" else reason)
    stopped.fit(x, y, epochs=2, callbacks=Events(event, stop), verbose=0)
    for each in (trainer, stopped):
        each.fit(x, y, epochs=1, verbose=0)
    if event not in ("batch 2 of 1", "batch 4 of 2"):  # whose epoch a stop lets end, and an error does not
        np.testing.assert_array_equal(trainer.net.params, stopped.net.params)
        assert trainer.history.to_dict()["cost"] == stopped.history.to_dict()["cost"]


def test_steps_of_a_broken_epoch_count(noise):
    """Adam's correction and the schedule know of them."""
    x, y, _ = noise
    rates = []

    class Note(Callback):
        def on_batch_end(self, trainer, batch):
            rates.append(batch.lr)
            if len(rates) == 3:
                trainer.stop()

    trainer = make(batch_size=4, schedule="inverse_scaling", accumulate=2)
    trainer.fit(x, y, epochs=1, callbacks=Note(), verbose=0)
    assert trainer.state.n_updates == 1
    trainer.fit(x, y, epochs=1, callbacks=Note(), verbose=0)
    assert rates[3] == pytest.approx(0.01 / np.sqrt(1 + 12))
    assert trainer.state.n_updates == 1 + 5


@pytest.mark.parametrize("event", ["begin", "epoch 1", "batch 1 of 1", "batch 2 of 1", "end 1", "epoch 2"])
def test_lr_set_in_any_event(noise, event):
    x, y, _ = noise

    class Rates(Events):
        seen: list

        def on_batch_end(self, trainer, batch):
            self.seen.append(batch.lr)
            super().on_batch_end(trainer, batch)

    def halve(trainer):
        trainer.lr /= 2

    events = Rates(event, halve)
    events.seen = []
    trainer = make()
    trainer.fit(x, y, epochs=2, callbacks=events, verbose=0)
    n_before = sum(told.startswith("batch") for told in ALL[: ALL.index(event) + 1])
    assert events.seen == [0.01] * n_before + [0.005] * (4 - n_before)
    assert trainer.lr == 0.005
    ref = make(optimizer=fastnn.Adam(lr=0.005))
    ref.fit(x, y, epochs=2, verbose=0)
    assert (trainer.net.params == ref.net.params).all() == (n_before == 0)


@pytest.mark.parametrize(
    ("lr", "error"), [(-1.0, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("1", TypeError)]
)
def test_bad_lr(lr, error):
    trainer = make()
    with pytest.raises(error, match="lr must"):
        trainer.lr = lr
    assert trainer.lr == 0.01


def test_what_a_batch_is_told(noise):
    x, y, _ = noise
    batches = []

    class Note(Callback):
        def on_batch_end(self, trainer, batch):
            batches.append(batch)

    trainer = make(batch_size=16, shuffle=False, optimizer=fastnn.SGD(lr=1e-30), l2=0.5)
    history = trainer.fit(x, y, epochs=1, callbacks=Note(), verbose=0)
    losses = trainer.losses(x, y)
    squares = sum((w.astype(np.float64) ** 2).sum() for w in trainer.net.weights)
    costs = [losses[r : r + 16].mean() + 0.25 * squares / n for r, n in ((0, 16), (16, 16), (32, 8))]
    assert [batch.n_rows for batch in batches] == [16, 16, 8]
    assert [batch.cost for batch in batches] == pytest.approx(costs, rel=1e-6)
    assert history.epochs[0].cost == pytest.approx(np.average(costs, weights=[16, 16, 8]), rel=1e-6)


@pytest.mark.parametrize("callbacks", [Callback, 3, [Callback]])
def test_no_callbacks(noise, callbacks):
    x, y, _ = noise
    with pytest.raises(TypeError, match="a callback must be"):
        make().fit(x, y, callbacks=callbacks, verbose=0)
