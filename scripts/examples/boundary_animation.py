"""See a network learn: the moving boundary between two moons, and a vanishing gradient.

An animation shows the network's answers on the whole plane, epoch by epoch. Two pictures show the size of the
gradient of each layer's weights in a network of eight hidden layers. With sigmoid it shrinks from layer to
layer on its way back, and with plain gradient descent the network learns nothing. With ReLU it hardly
shrinks, and the network learns.

    python scripts/examples/boundary_animation.py --pictures .
"""

import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from sklearn.datasets import make_moons

import fastnn
from fastnn import plots
from fastnn.training.recording import RecordBoundary, RecordHistograms


def main(
    pictures: Annotated[Path | None, typer.Option(help="Folder to draw into.")] = None, small: bool = False
) -> None:
    """Train, record and draw."""
    pictures = pictures or Path(tempfile.mkdtemp())
    pictures.mkdir(parents=True, exist_ok=True)
    x, y = make_moons(400, noise=0.2, random_state=0)
    n = 5 if small else 60
    boundary = RecordBoundary(x, every=2, resolution=40 if small else 120)
    net = fastnn.MLP([2, 16, 16, 2], "tanh", seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(5e-3), seed=0)
    history = trainer.fit(x, y, epochs=n, callbacks=boundary, verbose=0)
    path = pictures / "moons.gif"
    plots.boundary_animation(boundary, x, y).save(path, writer="pillow", dpi=60 if small else 100)
    first, last = history.epochs[0].metric, history.epochs[-1].metric
    print(f"moons: {first:.1%} of the points correct after 1 epoch, {last:.1%} after {n}; drawn: {path}")

    for activation in ("sigmoid", "relu"):
        gradients = RecordHistograms(x, y, epochs=[0, n])
        net = fastnn.MLP([2, *[32] * 8, 2], activation, seed=0)
        trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.SGD(lr=0.1), seed=0)
        _, at_first, _ = trainer.gradient(x, y)
        factor = np.median(abs(at_first[-1])) / np.median(abs(at_first[0]))
        history = trainer.fit(x, y, epochs=n, callbacks=gradients, verbose=0)
        path = pictures / f"gradients_{activation}.png"
        plots.histograms(gradients).figure.savefig(path)
        print(f"{activation}: the last layer's gradient is {factor:,.0f} times the first one's;", end=" ")
        print(f"{history.epochs[-1].metric:.1%} correct after {n} epochs; drawn: {path}")


if __name__ == "__main__":
    typer.run(main)
