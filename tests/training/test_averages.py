"""Averages of weights: what they are, and that training itself does not see them."""

import pickle

import numpy as np
import pytest

import fastnn
from fastnn import EMA, SWA, Callback, EarlyStopping
from fastnn.training import loop
from fastnn.training.resume import Checkpoints
from fastnn.training.sources import InMemory
from training.examples import make_binary_rows, make_binary_trainer

AVERAGES = [EMA(0.9), SWA(2)]


@pytest.fixture
def data(rng):
    return rng.standard_normal((70, 3)), rng.integers(0, 3, 70)


class Note(Callback):
    """The weights that training goes on with, after every batch and every epoch."""

    def __init__(self):
        self.of_batches, self.of_epochs = [], []

    def on_batch_end(self, trainer, batch):
        self.of_batches.append(trainer.net.params.copy())

    def on_epoch_end(self, trainer, epoch):
        self.of_epochs.append(trainer.net.params.copy())


def make(average=None, dtype="float64", **options):
    net = fastnn.MLP([3, 8, 3], "tanh", dtype=dtype, seed=0)
    options = {"optimizer": fastnn.Adam(lr=0.05), "batch_size": 16, "seed": 0} | options
    return fastnn.Trainer(net, loss="cross_entropy", average=average, **options)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_ema_is_a_mean_over_updates(data, dtype, accumulate):
    trainer, note = make(EMA(0.8), dtype, accumulate=accumulate), Note()
    ref = trainer.net.params.astype(np.float64)
    trainer.fit(*data, epochs=3, callbacks=note, verbose=0)
    every = [0, 1, 2, 3, 4] if accumulate == 1 else [1, 3, 4]
    for k, params in enumerate(note.of_batches):
        if k % 5 in every:
            ref += 0.2 * (params - ref)
    # A sum of 15 terms of size 1.
    np.testing.assert_allclose(trainer.net.params, ref, rtol=0, atol=8 * np.finfo(dtype).eps)
    assert np.abs(trainer.net.params - note.of_batches[-1]).max() > 0.01


def test_swa_is_a_mean_over_ends_of_epochs(data, dtype):
    trainer, note = make(SWA(3), dtype), Note()
    trainer.fit(*data, epochs=6, callbacks=note, verbose=0)
    ref = np.mean(note.of_epochs[2:], axis=0, dtype=np.float64)
    np.testing.assert_allclose(trainer.net.params, ref, rtol=0, atol=8 * np.finfo(dtype).eps)


def test_before_its_start_swa_is_not_there(data):
    trainer, plain = make(SWA(5)), make()
    for each in (trainer, plain):
        each.fit(*data, epochs=4, validation_data=data, verbose=0)
    np.testing.assert_array_equal(trainer.net.params, plain.net.params)
    assert trainer.history.to_dict()["val_cost"] == plain.history.to_dict()["val_cost"]


@pytest.mark.parametrize("average", AVERAGES, ids=repr)
@pytest.mark.parametrize("more", [{}, {"record_norms": True}, {"metrics": "accuracy"}], ids=str)
def test_training_does_not_see_it(data, average, more):
    """Nor what is done with it at the end of epochs, nor the end of a call of fit."""
    trainer, plain, note, ref = make(average), make(), Note(), Note()
    for epochs in (3, 2):
        trainer.fit(*data, epochs=epochs, validation_data=data, callbacks=note, **more, verbose=0)
        plain.fit(*data, epochs=epochs, callbacks=ref, verbose=0)
    np.testing.assert_array_equal(note.of_batches, ref.of_batches)
    assert trainer.history.to_dict()["cost"] == plain.history.to_dict()["cost"]


@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_two_calls_are_one(data, average):
    once, twice = make(average, shuffle=False), make(average, shuffle=False)
    once.fit(*data, epochs=5, verbose=0)
    twice.fit(*data, epochs=3, verbose=0)
    twice = pickle.loads(pickle.dumps(twice))
    twice.fit(*data, epochs=2, verbose=0)
    np.testing.assert_array_equal(twice.net.params, once.net.params)


@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_it_is_validated_and_restored(data, average):
    trainer = make(average)
    history = trainer.fit(*data, epochs=4, validation_data=data, verbose=0)
    assert history.epochs[-1].val_cost == trainer.evaluate(*data)["cost"]
    other = data[0][::-1], data[1]  # of which nothing can be learnt
    trainer = make(average)
    rule = EarlyStopping(patience=4)
    history = trainer.fit(*data, epochs=60, validation_data=other, early_stopping=rule, verbose=0)
    costs = history.to_dict()["val_cost"]
    assert history.best_epoch == 1 + np.argmin(costs) < len(costs)
    assert trainer.evaluate(*other)["cost"] == min(costs)


@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_an_error_leaves_the_average_in_the_network(data, average):
    class Fails(Note):
        def on_epoch_end(self, trainer, epoch):
            super().on_epoch_end(trainer, epoch)
            if epoch.epoch == 4:
                raise RuntimeError("enough")

    trainer, ref, note, again = make(average), make(average), Fails(), Note()
    with pytest.raises(RuntimeError, match="enough"):
        trainer.fit(*data, epochs=9, callbacks=note, verbose=0)
    ref.fit(*data, epochs=4, verbose=0)
    np.testing.assert_array_equal(trainer.net.params, ref.net.params)
    assert trainer.history.stop_reason == "error"
    ref_note = Note()
    trainer.fit(*data, epochs=1, callbacks=again, verbose=0)
    ref.fit(*data, epochs=1, callbacks=ref_note, verbose=0)
    np.testing.assert_array_equal(again.of_batches, ref_note.of_batches)


@pytest.mark.parametrize(
    ("make_average", "error", "message"),
    [
        (lambda: EMA(1.0), ValueError, r"decay must lie in \(0, 1\)"),
        (lambda: EMA(0.0), ValueError, "decay must lie"),
        (lambda: EMA("0.9"), TypeError, "decay must be a number"),
        (lambda: SWA(0), ValueError, "start must be at least 1"),
        (lambda: make("ema"), TypeError, r"average must be fastnn.EMA\(...\) or fastnn.SWA"),
        (lambda: make(EMA), TypeError, "average must be"),
    ],
)
def test_bad_arguments(make_average, error, message):
    with pytest.raises(error, match=message):
        make_average()


def test_averaged_is_what_training_ends_with():
    x, y = make_binary_rows()
    seen = []

    def note(trainer, epoch):
        raw = trainer.net.params.copy()
        with trainer.averaged():
            seen.append(trainer.net.params.copy())
        assert np.array_equal(raw, trainer.net.params)
        assert not np.array_equal(raw, seen[-1])

    trainer = make_binary_trainer(average=fastnn.EMA(0.9))
    trainer.fit(x, y, 3, callbacks=note, verbose=0)
    assert np.array_equal(seen[-1], trainer.net.params)
    with trainer.averaged():  # which the network has already
        assert np.array_equal(seen[-1], trainer.net.params)


# --- errors before the first epoch ------------------------------------------------------------------


def kept(trainer):
    """All that averages exchange, to the bit."""
    return trainer.net.params.copy(), trainer.state.averager.shadow.copy()


def fail(*_):
    raise RuntimeError("at the start")


@pytest.mark.parametrize("where", ["on_fit_begin", "restore", "start", "make_display"])
@pytest.mark.parametrize("average", AVERAGES, ids=repr)
def test_an_error_before_the_first_epoch_leaves_weights_and_average(data, average, where, monkeypatch):
    trainer, ref = make(average), make(average)
    for each in (trainer, ref):
        each.fit(*data, epochs=3, verbose=0)
    before = kept(trainer)
    assert (before[0] != before[1]).any()
    options = {}
    with monkeypatch.context() as patch:
        if where == "on_fit_begin":
            callback = Callback()
            callback.on_fit_begin = fail
            options["callbacks"] = callback
        else:
            owner = {
                "restore": Checkpoints,
                "start": InMemory,
                "make_display": loop,
            }[where]
            patch.setattr(owner, where, fail)
        with pytest.raises(RuntimeError, match="at the start"):
            trainer.fit(*data, epochs=1, verbose=0, **options)
    for comp, expected in zip(kept(trainer), before, strict=True):
        np.testing.assert_array_equal(comp, expected)
    assert not trainer.state.averager.is_averaging
    for each in (trainer, ref):
        each.fit(*data, epochs=1, verbose=0)
    for comp, expected in zip(kept(trainer), kept(ref), strict=True):
        np.testing.assert_array_equal(comp, expected)


def test_a_pickle_made_during_training_trains_on_from_the_weights(data):
    """Unpickled, the trainer has the average in its network, as after any training."""
    taken = []
    trainer = make(EMA(0.9), shuffle=False)

    def note(trainer, epoch):
        taken.append((pickle.dumps(trainer), trainer.net.params.copy()))

    trainer.fit(*data, epochs=2, callbacks=note, verbose=0)
    again, trained = pickle.loads(taken[0][0]), taken[0][1]
    np.testing.assert_array_equal(again.state.averager.shadow, trained)
    assert (again.net.params != trained).any()
    again.fit(*data, epochs=1, verbose=0)
    np.testing.assert_array_equal(again.net.params, trainer.net.params)
