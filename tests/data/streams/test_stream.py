"""Streams of one's own, and the thread that reads ahead."""

from __future__ import annotations

import signal
import time

import numpy as np
import pytest

from data.streams.examples import Counting, make_trainer
from fastnn import Callback
from fastnn.data import ArrayStream
from fastnn.data.streams.stream import read_ahead


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((30, 50, 20), "a block of the stream ends at row 30: expected a multiple of 16 rows"),
        ((32, 48, 10), "the stream gave 90 rows in an epoch, but its n_rows is 100"),
        ((64, 48, 10), "the stream gave 112 or more rows in an epoch, but its n_rows is 100"),
        ((32, 0, 68), "x of the block from row 32 on is empty"),
    ],
)
def test_streams_of_ones_own(sizes, message):
    history = make_trainer().fit(Counting(), epochs=2, verbose=0)
    assert len(history) == 2
    with pytest.raises(ValueError, match=message):
        make_trainer().fit(Counting(sizes), epochs=2, verbose=0)


def test_an_error_in_the_reader_is_raised_and_the_trainer_goes_on(npy):
    class Broken(Counting):
        n_read = 0

        def blocks(self, seed, first=0, multiple=1):
            for block in super().blocks(seed, first, multiple):
                yield block
                self.n_read += 1
                if self.n_read == 4:
                    raise OSError("the disk is gone")

    trainer, ended = make_trainer(), []

    class End(Callback):
        def on_fit_end(self, trainer):
            ended.append(trainer.history.stop_reason)

    with pytest.raises(OSError, match=r"^the disk is gone$"):
        trainer.fit(Broken(), epochs=9, callbacks=End(), verbose=0)
    assert (len(trainer.history), ended) == (1, ["error"])
    assert np.isfinite(trainer.net.params).all()
    trainer.fit(ArrayStream(*npy), epochs=1, verbose=0)


def test_ctrl_c_ends_the_thread(npy):
    class Interrupt(Callback):
        def on_epoch_end(self, trainer, epoch):
            signal.raise_signal(signal.SIGINT)

    trainer = make_trainer()
    with pytest.warns(UserWarning, match="interrupted"):
        trainer.fit(ArrayStream(*npy, block_rows=64), epochs=9, callbacks=Interrupt(), verbose=0)
    assert trainer.history.stop_reason == "interrupted"


def test_the_reader_is_no_further_ahead_than_it_may_be():
    made = []

    def items():
        for k in range(10):
            made.append(k)
            yield k

    ahead = read_ahead(items(), n_ahead=2)
    assert made == []  # no thread before the first is asked for
    for k in range(3):
        assert next(ahead) == k
        time.sleep(0.05)
        assert len(made) <= k + 3
    ahead.close()
    assert len(made) < 10
