"""Ctrl-C and SIGTERM: when they end a training."""

import signal
import sys
import threading
import time

import pytest

from fastnn import Checkpoint
from fastnn.training.interrupts import held_back


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_ctrl_c_ends_a_running_training_soon(start):
    code = """
import numpy as np, fastnn
x = np.random.default_rng(0).standard_normal((200_000, 64)).astype(np.float32)
trainer = fastnn.Trainer(fastnn.MLP([64, 128, 1], seed=0), loss="mse", optimizer="adam", seed=0)
trainer.fit(x, x[:, 0], epochs=1, verbose=0)
print("ready", flush=True)
history = trainer.fit(x, x[:, 0], epochs=100_000, verbose=0)
print(history.stop_reason, bool(np.isfinite(trainer.net.params).all()), flush=True)
"""
    process = start([sys.executable, "-c", code])
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert rest == "interrupted True\n"
    assert process.returncode == 0


needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")


@needs_signals
def test_the_first_is_noted_and_the_second_interrupts():
    with pytest.raises(KeyboardInterrupt), held_back(True) as pressed:  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        assert pressed == [signal.SIGINT]
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@needs_signals
def test_where_it_is_not_wanted_the_first_interrupts():
    with pytest.raises(KeyboardInterrupt), held_back(False) as pressed:
        signal.raise_signal(signal.SIGINT)
    assert pressed == []


@needs_signals
def test_handlers_of_the_users_own_are_left_alone():
    noted = []
    before = signal.signal(signal.SIGINT, lambda number, frame: noted.append(number))
    try:
        with held_back(True) as pressed:
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (noted, pressed) == ([signal.SIGINT], [])


def test_other_threads_cannot_catch_signals():
    ended = []

    def work():
        with held_back(True) as pressed:
            ended.append(list(pressed))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [[]]


@needs_signals
def test_sigterm_ends_the_process_after_a_checkpoint(tmp_path, start):
    code = f"""
import os, signal, numpy as np, fastnn
class Terminate(fastnn.Callback):
    def on_batch_end(self, trainer, batch):
        if batch.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", batch_size=1, seed=0)
rule = fastnn.Checkpoint({str(tmp_path)!r})
trainer.fit(np.eye(2), [0, 1], epochs=100, checkpoint=rule, callbacks=Terminate(), verbose=0)
print("went on")
"""
    process = start([sys.executable, "-c", code])
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGTERM, "")
    assert Checkpoint(tmp_path).read()[0]["batches"] == 5
