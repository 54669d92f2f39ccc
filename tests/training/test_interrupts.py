"""Ctrl-C and SIGTERM: when they end a training."""

import os
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


ENDING = (signal.SIGINT, signal.SIGTERM, *([] if sys.platform == "win32" else [signal.SIGHUP]))
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
@pytest.mark.parametrize("handler", ["ignored", "the user's own"])
def test_a_signal_that_is_taken_care_of_is_left_alone_and_the_others_are_held_back(handler):
    noted = []
    before = signal.getsignal(signal.SIGINT)
    own = signal.SIG_IGN if handler == "ignored" else lambda number, frame: noted.append(number)
    for taken, other in ((signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGHUP)):
        previous = signal.signal(taken, own)
        handlers = {number: signal.getsignal(number) for number in ENDING}
        try:
            with held_back(True) as pressed:
                signal.raise_signal(taken)
                assert pressed == []
                signal.raise_signal(other)
                assert pressed == [other]
                pressed.clear()  # else it ends this process
            assert {number: signal.getsignal(number) for number in ENDING} == handlers
        finally:
            signal.signal(taken, previous)
    assert noted == ([] if handler == "ignored" else [signal.SIGTERM, signal.SIGINT])
    assert signal.getsignal(signal.SIGINT) is before


@needs_signals
def test_a_forked_child_holds_nothing_back():
    """`multiprocessing.Process.terminate` must end a process that a callback has started."""
    with held_back(True):
        for number, code in ((signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 7)):
            child = os.fork()
            if child == 0:
                try:
                    signal.raise_signal(number)
                    time.sleep(1)
                except KeyboardInterrupt:
                    os._exit(7)
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code


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
@pytest.mark.parametrize(
    ("sent", "ignored"),
    [
        (["SIGTERM"], []),
        (["SIGTERM"], ["SIGINT", "SIGHUP"]),
        (["SIGHUP"], []),
        (["SIGHUP"], ["SIGHUP"]),
        (["SIGINT", "SIGTERM"], []),
    ],
)
def test_what_ends_the_process_does_so_after_a_checkpoint(tmp_path, start, sent, ignored):
    """Also where a shell, nohup or a batch system has others ignored; and Ctrl-C before it hides nothing."""
    code = f"""
import os, signal, numpy as np, fastnn
for name in {ignored}:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
class Send(fastnn.Callback):
    def on_batch_end(self, trainer, batch):
        if batch.step == 5:
            for name in {sent}:
                os.kill(os.getpid(), getattr(signal, name))
        if batch.step == 7:
            print("is ignored")
            os._exit(0)
trainer = fastnn.Trainer(fastnn.MLP([2, 4, 2], seed=0), loss="cross_entropy", batch_size=1, seed=0)
rule = fastnn.Checkpoint({str(tmp_path)!r}, every_epochs=2)
trainer.fit(np.eye(2), [0, 1], epochs=100, checkpoint=rule, callbacks=Send(), verbose=0)
print("went on")
"""
    process = start([sys.executable, "-c", code])
    out, _ = process.communicate(timeout=60)
    if set(sent) <= set(ignored):
        assert (process.returncode, out) == (0, "is ignored\n")
        return
    assert (process.returncode, out) == (-getattr(signal, sent[-1]), "")
    second_interrupts = len(set(sent) - set(ignored)) > 1
    assert Checkpoint(tmp_path).read()[0]["batches"] == (4 if second_interrupts else 5)
