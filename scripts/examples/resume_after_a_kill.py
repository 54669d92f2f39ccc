"""A training that is killed and resumed gives the same bits as an undisturbed one.

A process trains with checkpoints and is killed without warning (SIGKILL). The same call resumes from the last
checkpoint.

    python scripts/examples/resume_after_a_kill.py
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import typer
from sklearn.datasets import load_digits

import fastnn


def train(folder: Path | None, epochs: int, pause: float = 0.0) -> fastnn.MLP:
    """Train on the digits, with a pause after every epoch that leaves time for the kill."""
    x, y = load_digits(return_X_y=True)
    net = fastnn.MLP([64, 64, 10], dropout=0.2, seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", schedule="cosine", seed=0)
    trainer.fit(
        x / 16,
        y,
        epochs,
        checkpoint=None if folder is None else fastnn.Checkpoint(folder),
        callbacks=lambda trainer, epoch: time.sleep(pause),
        verbose=0,
    )
    return net


def main(small: bool = False, folder: Path | None = None) -> None:
    """Kill, resume and compare."""
    epochs = 8 if small else 40
    if folder is not None:  # the process that will be killed
        train(folder, epochs, pause=0.2)
        return
    with tempfile.TemporaryDirectory() as temporary:
        run = Path(temporary) / "run"
        command = [sys.executable, __file__, "--folder", str(run), *(["--small"] if small else [])]
        process = subprocess.Popen(command)
        while not list(run.glob("step-*.safetensors")):
            time.sleep(0.05)
        time.sleep(0.5)
        process.kill()
        process.wait()
        latest = max(run.glob("step-*.safetensors")).name
        print(f"killed; the newest checkpoint is {latest}")
        resumed = train(run, epochs)
    undisturbed = train(None, epochs)
    print("the same bits as undisturbed:", np.array_equal(resumed.params, undisturbed.params))


if __name__ == "__main__":
    typer.run(main)
