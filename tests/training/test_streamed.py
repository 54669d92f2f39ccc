"""Training on streams: the bits of training in memory, checkpoints, errors that say what is wrong."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from data.streams.conftest import no_thread_is_left  # noqa: F401
from data.streams.examples import (
    N_FEATURES,
    N_ROWS,
    Counting,
    figures,
    make_rows,
    make_trainer,
    train,
)

import fastnn
from fastnn import EMA, SWA, Callback, Checkpoint, EarlyStopping
from fastnn.data import ArrayStream
from training.resuming import CrashAfter, CrashError


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"accumulate": 3, "average": EMA(0.9), "optimizer": "nadam"}], ids=str
)
def test_unshuffled_it_is_training_in_memory_to_the_bit(dtype, weighted, options):
    x, y = make_rows()
    weights = {"sample_weight": np.random.default_rng(0).uniform(0, 2, N_ROWS)} if weighted else {}
    ref, comp = (make_trainer(shuffle=False, dtype=dtype, schedule="cosine", **options) for _ in range(2))
    held_out = x[:100], y[:100]
    ref.fit(x, y, epochs=3, validation_data=held_out, verbose=0, **weights)
    stream = ArrayStream(x, y, block_rows=100, dtype=dtype, **weights)
    comp.fit(stream, epochs=3, validation_data=held_out, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    for name, column in figures(ref).items():
        np.testing.assert_allclose(figures(comp)[name], column, rtol=1e-13, err_msg=name)
    assert comp.n_rows == N_ROWS


def test_figures_of_a_regression(dtype):
    x, y = make_rows(kind="values")
    weights = np.random.default_rng(0).uniform(0, 2, N_ROWS)
    ref, comp = (make_trainer(2, loss="mse", shuffle=False, dtype=dtype) for _ in range(2))
    stream = ArrayStream(x, y, sample_weight=weights, block_rows=100, dtype=dtype)
    ref.fit(x, y, epochs=3, sample_weight=weights, validation_data=(x, y, weights), verbose=0)
    comp.fit(stream, epochs=3, validation_data=stream, verbose=0)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    for name, column in figures(ref).items():  # the spread comes of running sums
        np.testing.assert_allclose(figures(comp)[name], column, rtol=1e-5, err_msg=name)
    by_block, at_once = comp.evaluate(stream), comp.evaluate(x, y, sample_weight=weights)
    assert by_block == pytest.approx(at_once, rel=1e-6)


def test_shuffled_it_learns_and_threads_and_pauses_change_nothing(npy):
    class Slow(ArrayStream):
        def _block(self, *args):
            time.sleep(0.002 * (int(time.time() * 1e4) % 3))
            return super()._block(*args)

    trainers = []
    for kind, n_threads in ((ArrayStream, 1), (ArrayStream, 2), (Slow, 1)):
        trainers.append(make_trainer(n_threads=n_threads, optimizer=fastnn.Adam(lr=0.02)))
        trainers[-1].fit(kind(*npy, block_rows=64), epochs=4, verbose=0)
        np.testing.assert_array_equal(trainers[-1].net.params, trainers[0].net.params)
        assert figures(trainers[-1]) == figures(trainers[0])
    assert trainers[0].history.epochs[-1].metric > 0.85
    other = make_trainer(seed=4)
    other.fit(ArrayStream(*npy, block_rows=64), epochs=4, verbose=0)
    assert (other.net.params != trainers[0].net.params).any()


def test_class_weights():
    x, y = make_rows()
    for weight in ("balanced", {1: 3.0}):
        ref, comp = (make_trainer(shuffle=False, class_weight=weight) for _ in range(2))
        ref.fit(x, y, epochs=2, verbose=0)
        comp.fit(ArrayStream(x, y, block_rows=100), epochs=2, verbose=0)
        np.testing.assert_array_equal(comp.net.params, ref.net.params)
    np.testing.assert_array_equal(ArrayStream(x, y, block_rows=100).count_labels(), np.bincount(y))
    with pytest.raises(
        ValueError, match=r"class_weight='balanced' needs .* Counting.count_labels\(\) returns None"
    ):
        make_trainer(class_weight="balanced").fit(Counting(), verbose=0)


def test_metrics_norms_early_stopping_and_averages(npy):
    x, y = make_rows()
    stream, held_out = ArrayStream(*npy, block_rows=100), ArrayStream(x[:300], y[:300], block_rows=70)
    options = {"metrics": ["accuracy"], "early_stopping": EarlyStopping(patience=2), "record_norms": True}
    tables = []
    for validation in (held_out, (x[:300], y[:300])):
        trainer = make_trainer(average=SWA(3), optimizer=fastnn.Adam(lr=0.05))
        trainer.fit(stream, epochs=30, validation_data=validation, verbose=0, **options)
        tables.append(figures(trainer))
        assert trainer.history.stop_reason == "early stopping"
    assert tables[0]["val_accuracy"] == tables[0]["val_metric"]
    assert tables[0]["layers.0.grad_norm"] == tables[1]["layers.0.grad_norm"]
    assert tables[0]["val_accuracy"] == tables[1]["val_accuracy"]
    with pytest.raises(
        ValueError, match="metrics need validation_data where the rows to train on are a stream"
    ):
        make_trainer().fit(stream, metrics="accuracy", verbose=0)


def test_a_callback_sees_every_batch_sets_the_rate_and_stops(npy):
    class Watch(Callback):
        def __init__(self):
            self.rows, self.lrs = [], []

        def on_batch_end(self, trainer, batch):
            self.rows.append(batch.n_rows)
            self.lrs.append(batch.lr)
            if len(self.rows) == 10:
                trainer.lr = 0.5
            if len(self.rows) == 90:
                trainer.stop("enough")

    watch, trainer = Watch(), make_trainer()
    history = trainer.fit(ArrayStream(*npy, block_rows=64), epochs=9, callbacks=watch, verbose=0)
    per_epoch = [16] * 62 + [8]
    assert watch.rows == (per_epoch * 2)[:90]
    assert watch.lrs[9] != 0.5 == watch.lrs[10]
    assert (history.stop_reason, len(history)) == ("enough", 1)
    trainer.fit(ArrayStream(*npy, block_rows=64), epochs=1, verbose=0)  # goes on
    assert len(trainer.history) == 2


@pytest.mark.parametrize("kind", ["class", "values"])
def test_resumed_in_the_middle_of_an_epoch(tmp_path, kind):
    x, y = make_rows(kind=kind)
    stream = ArrayStream(x, y, block_rows=96).split(test=0.1).train
    options = {"n_out": 2 if kind == "class" else 0, "record_norms": True}
    ref = train(stream, **options)
    rule = Checkpoint(tmp_path, every_steps=5)
    for n_batches in (3, 13, 6, 1, 70, 41):  # within blocks, at their ends, within epochs
        with pytest.raises(CrashError):
            train(stream, checkpoint=rule, callbacks=CrashAfter(n_batches), **options)
    comp = train(stream, checkpoint=rule, **options)
    np.testing.assert_array_equal(comp.net.params, ref.net.params)
    assert figures(comp) == figures(ref)


def test_resuming_reads_nothing_that_lies_before(tmp_path, npy):
    read = []

    class Told(ArrayStream):
        def blocks(self, seed=None, first=0, multiple=1):
            read.append(first)
            return super().blocks(seed, first, multiple)

    stream = Told(*npy, block_rows=96)
    with pytest.raises(CrashError):
        train(stream, checkpoint=Checkpoint(tmp_path, every_steps=5), callbacks=CrashAfter(42))
    train(stream, 1, checkpoint=Checkpoint(tmp_path, every_steps=5))
    assert read == [0, 576]  # of 40 batches of 16 rows 576 rows fill blocks


def test_other_data_is_refused(tmp_path, npy):
    x, y = make_rows()
    with pytest.raises(CrashError):
        train(ArrayStream(*npy), checkpoint=Checkpoint(tmp_path, every_steps=5), callbacks=CrashAfter(20))
    train(ArrayStream(*npy), 1, checkpoint=Checkpoint(tmp_path / "2"))
    for other in (ArrayStream(x + 1, y), ArrayStream(x, y, block_rows=50)):
        with pytest.raises(ValueError, match="are of another training: data was"):
            train(other, checkpoint=Checkpoint(tmp_path))


KILLED = """
import sys
from fastnn import Checkpoint
from data.streams.examples import make_rows, train
from fastnn.data import ArrayStream
from training.resuming import kill_and_restart

folder = sys.argv[1]
stream = ArrayStream(*make_rows(), block_rows=96)

def train_stream(begin):
    rule = Checkpoint(folder, every_steps=7)
    train(stream, 100, checkpoint=rule, callbacks=begin).net.save(folder + ".model")

train(stream, 1)  # loads the compiled code, once for all
kill_and_restart(train_stream, n_kills=12, longest=0.1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_killed_at_any_moment_and_started_again(tmp_path, start):
    folder = tmp_path / "run"
    path = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(fastnn.__file__).parents[1])])
    process = start([sys.executable, "-c", KILLED, str(folder)], env={**os.environ, "PYTHONPATH": path})
    out, err = process.communicate(timeout=120)
    errors = [line for line in err.splitlines() if "fastnn: compiling" not in line]
    assert (process.returncode, errors) == (0, [])
    assert int(out) >= 3
    ref = train(ArrayStream(*make_rows(), block_rows=96), 100)
    np.testing.assert_array_equal(fastnn.load(f"{folder}.model").params, ref.net.params)


@pytest.mark.parametrize(
    ("options", "trainer", "message"),
    [
        ({"y": np.zeros(5)}, {}, "x is a stream, which brings its own y: expected y=None"),
        ({"sample_weight": np.ones(5)}, {}, "brings its own sample_weight"),
        (
            {"validation_fraction": 0.1},
            {},
            r"validation_fraction cannot be combined with a stream: use its split\(\)",
        ),
        ({}, {"optimizer": "lbfgs"}, "optimizer 'lbfgs' needs all rows at once, but x is a stream"),
        ({}, {"batch_size": None}, "batch_size=None takes all rows at once, but x is a stream"),
        ({"early_stopping": EarlyStopping()}, {}, "but there is no validation_data"),
    ],
)
def test_what_does_not_go_with_a_stream(npy, options, trainer, message):
    net = fastnn.MLP([N_FEATURES, 8, 2], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", **trainer)
    with pytest.raises(ValueError, match=message):
        trainer.fit(ArrayStream(*npy), verbose=0, **options)


def test_shapes_that_do_not_fit(npy):
    x, y = make_rows()
    for stream in (ArrayStream(x[:, :3], y),):
        with pytest.raises(ValueError, match="x has 3 features, but the network takes 5"):
            make_trainer().fit(stream, verbose=0)
        with pytest.raises(ValueError, match="validation_data has 3 features, but the network takes 5"):
            make_trainer().fit(ArrayStream(*npy), validation_data=stream, verbose=0)
        with pytest.raises(ValueError, match="x has 3 features"):
            make_trainer().evaluate(stream)
    with pytest.raises(TypeError, match="y is missing"):
        make_trainer().fit(x, verbose=0)
