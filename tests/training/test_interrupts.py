"""Ctrl-C and SIGTERM: when they end a training."""

import signal
import sys
import time

import pytest


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
