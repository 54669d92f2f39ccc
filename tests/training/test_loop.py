"""The loop: events in their order, rates of steps, divergence, errors, and who may stop it."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

import fastnn
import fastnn.kernels
from fastnn import Callback, DivergenceError, EarlyStopping
from fastnn.schedules import SCHEDULES, WarmUp, as_schedule
from fastnn.training.loop import Run
from training.examples import (
    LR,
    assert_same_parameters,
    make_blobs_trainer,
    make_two_class_trainer,
    make_whole_batch_trainer,
)


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
    make_two_class_trainer().fit(x, y, epochs=2, callbacks=events, verbose=0)
    assert events.told == ALL


@pytest.mark.parametrize("event", ALL[:-1])
def test_stop_in_any_event(noise, event):
    """At once within an epoch, which then does not count; after its end it does."""
    x, y, _ = noise
    events = Events(event, lambda trainer: trainer.stop("I say so"))
    trainer = make_two_class_trainer()
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

    events, last, trainer, stopped = (
        Events(event, fail),
        Events(),
        make_two_class_trainer(),
        make_two_class_trainer(),
    )
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

    trainer = make_two_class_trainer(batch_size=4, schedule="inverse_scaling", accumulate=2)
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
    trainer = make_two_class_trainer()
    trainer.fit(x, y, epochs=2, callbacks=events, verbose=0)
    n_before = sum(told.startswith("batch") for told in ALL[: ALL.index(event) + 1])
    assert events.seen == [0.01] * n_before + [0.005] * (4 - n_before)
    assert trainer.lr == 0.005
    ref = make_two_class_trainer(optimizer=fastnn.Adam(lr=0.005))
    ref.fit(x, y, epochs=2, verbose=0)
    assert (trainer.net.params == ref.net.params).all() == (n_before == 0)


def test_what_a_batch_is_told(noise):
    x, y, _ = noise
    batches = []

    class Note(Callback):
        def on_batch_end(self, trainer, batch):
            batches.append(batch)

    trainer = make_two_class_trainer(batch_size=16, shuffle=False, optimizer=fastnn.SGD(lr=1e-30), l2=0.5)
    history = trainer.fit(x, y, epochs=1, callbacks=Note(), verbose=0)
    losses = trainer.losses(x, y)
    squares = sum((w.astype(np.float64) ** 2).sum() for w in trainer.net.weights)
    costs = [losses[r : r + 16].mean() for r in (0, 16, 32)]  # without the penalty
    assert [batch.n_rows for batch in batches] == [16, 16, 8]
    assert [batch.cost for batch in batches] == pytest.approx(costs, rel=1e-6)
    assert history.epochs[0].cost == pytest.approx(np.average(costs, weights=[16, 16, 8]), rel=1e-6)
    assert history.epochs[0].penalty == pytest.approx(3 * 0.25 * squares / 40, rel=1e-6)  # of three batches


@pytest.mark.parametrize("callbacks", [Callback, 3, [Callback]])
def test_no_callbacks(noise, callbacks):
    x, y, _ = noise
    with pytest.raises(TypeError, match="a callback must be"):
        make_two_class_trainer().fit(x, y, callbacks=callbacks, verbose=0)


@pytest.mark.parametrize("where", ["start", "later"])
def test_divergence_stops_and_keeps_finite_weights(where):
    x, y = np.random.default_rng(0).standard_normal((2, 200, 3))
    if where == "later":
        trainer = make_blobs_trainer("mse", (3, 8, 3), optimizer=fastnn.SGD(lr=3.0))
        place = r"in epoch 1 \(after \d steps\)"
    else:
        trainer = make_blobs_trainer("mse", (3, 8, 3))
        trainer.net.params[:] = 1e30  # finite, but its products are not
        place = r"in the first batch of epoch 1 \(after 0 steps\)"
    with pytest.raises(DivergenceError, match=f"{place}.*smaller learning rate"):
        trainer.fit(x * 100, y * 100, epochs=50, verbose=0)
    assert trainer.history.stop_reason == "diverged"
    assert np.isfinite(trainer.net.params).all()


def test_interrupt_keeps_model_and_history(blobs, monkeypatch):
    trainer = make_blobs_trainer()
    real, calls = Run._train_epoch, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(Run, "_train_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted"):
        history = trainer.fit(*blobs, epochs=10, verbose=0)
    assert history.stop_reason == "interrupted"
    assert len(history) == 2
    trainer.net.predict(blobs[0])


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
def test_the_rates_of_steps_are_the_schedules(three_classes, schedule, accumulate):
    rates = Rates()
    trainer = make_whole_batch_trainer(batch_size=16, schedule=schedule, accumulate=accumulate)
    history = trainer.fit(*three_classes, epochs=5, callbacks=rates, verbose=0)
    n_updates = -(-4 // accumulate)
    ref = [
        rate
        for epoch in range(5)
        for rate in as_schedule(schedule).rates(LR, epoch, 5, n_updates, 60 * epoch, {})
    ]
    assert rates.seen == np.repeat(ref, accumulate).tolist()
    assert history.to_dict()["lr"] == rates.seen[3::4]
    plain = make_whole_batch_trainer(batch_size=16, schedule=schedule, accumulate=accumulate)
    plain.fit(*three_classes, epochs=5, verbose=0)
    assert_same_parameters(plain, trainer)


def test_a_rate_is_that_of_its_step(three_classes):
    """SGD moves by rate times slope: with a rate of 0 in between, by nothing."""
    moved = []

    class Moves(Callback):
        def on_batch_end(self, trainer, batch):
            moved.append(trainer.net.params.copy())

    schedule = fastnn.schedules.Function(lambda epoch, lr: lr * (round(4 * epoch) % 2))
    trainer = make_whole_batch_trainer(batch_size=16, schedule=schedule)
    moved.append(trainer.net.params.copy())
    trainer.fit(*three_classes, epochs=2, callbacks=Moves(), verbose=0)
    assert [(a != b).any() for a, b in pairwise(moved)] == [False, True] * 4


def test_a_plateau_is_followed(three_classes):
    schedule = fastnn.schedules.Plateau(factor=0.5, patience=2, min_delta=1e9)
    history = make_whole_batch_trainer(schedule=schedule).fit(
        *three_classes, epochs=6, validation_data=three_classes, verbose=0
    )
    # The first figure is no improvement on nothing by so much: epochs 1 and 2 are without, 3 and 4, ...
    assert history.to_dict()["lr"] == [0.25, 0.25, 0.25, 0.125, 0.125, 0.0625]


@pytest.mark.parametrize(
    "kind",
    [fastnn.SGD, partial(fastnn.SGD, momentum=0.9, nesterov=True), fastnn.Adam],
    ids=["sgd", "nesterov", "adam"],
)
def test_divergence_keeps_finite_weights(four_classes, dtype, kind):
    net = fastnn.MLP((20, 24, 24, 4), dtype=dtype, seed=0)
    # A weight of this size is finite, its square in the next layer hardly, that of an error no more.
    optimizer = kind(lr=float(np.sqrt(np.finfo(dtype).max)))
    diverging = fastnn.Trainer(net, loss="mse", optimizer=optimizer, seed=0)
    with pytest.raises(fastnn.DivergenceError, match="NaN or infinite"):
        diverging.fit(four_classes[0], four_classes[0][:, :4], epochs=50, verbose=0)
    assert np.isfinite(net.params).all()
    assert np.abs(net.params).max() > 1e6  # it did diverge in training
    assert diverging.history.stop_reason == "diverged"


def test_fit_within_a_callback_of_fit(blobs):
    """The outer training goes on where it was: no row is trained on twice."""

    class Inner(Callback):
        n_calls = 0

        def on_batch_end(self, trainer, batch):
            self.n_calls += 1
            if self.n_calls == 2:
                trainer.fit(blobs[0][:32], blobs[1][:32], epochs=1, verbose=0)

    trainer = make_blobs_trainer(batch_size=100)
    trainer.fit(*blobs, epochs=1, callbacks=Inner(), verbose=0)
    assert trainer.state.n_batches == 4 + 1
    assert len(trainer.history) == 2
    assert trainer.state.n_seen == 400 + 32
