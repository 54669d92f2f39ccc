"""See a network learn: the boundary between two moons as it bends, and a gradient that vanishes.

An animation shows what the network would answer all over the plane, epoch by epoch. Two pictures show how large
the gradient of each layer's weights is in a network of eight hidden layers: with sigmoid it shrinks from layer to
layer on its way back, and the first ones learn next to nothing; with ReLU all layers get their share.

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
from fastnn.recording import Histogram, RecordBoundary, RecordHistograms


def typical(histogram: Histogram) -> float:
    """The middle of the sizes, as a power of 10."""
    middle = np.searchsorted(np.cumsum(histogram.counts), histogram.counts.sum() / 2)
    return histogram.edges[middle]


def main(
    pictures: Annotated[Path | None, typer.Option(help="Folder to draw into.")] = None, small: bool = False
) -> None:
    """Train, record, draw."""
    pictures = pictures or Path(tempfile.mkdtemp())
    x, y = make_moons(400, noise=0.2, random_state=0)
    n = 5 if small else 60
    boundary = RecordBoundary(x, every=1, resolution=40 if small else 120)
    net = fastnn.MLP([2, 16, 16, 2], "tanh", seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(5e-3), seed=0)
    history = trainer.fit(x, y, epochs=n, callbacks=boundary, verbose=0)
    animation = plots.boundary_animation(boundary, x, y)
    animation.save(pictures / "moons.gif", writer="pillow", dpi=60 if small else 100)
    first, last = history.epochs[0].metric, history.epochs[-1].metric
    print(f"moons: accuracy {first:.1%} after one epoch, {last:.1%} after {n}; {pictures / 'moons.gif'}")

    for activation in ("sigmoid", "relu"):
        gradients = RecordHistograms(x, y, epochs=[0, n])
        net = fastnn.MLP([2, *[32] * 8, 2], activation, seed=0)
        trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
        history = trainer.fit(x, y, epochs=n, callbacks=gradients, verbose=0)
        ax = plots.histograms(gradients)
        ax.figure.savefig(pictures / f"gradients_{activation}.png")
        start = gradients.gradients[0]
        factor = 10 ** (typical(start[-1]) - typical(start[0]))
        print(
            f"{activation:7}: at first the last layer's gradient is {factor:,.0f} times the first layer's;",
            f"accuracy {history.epochs[-1].metric:.1%} after {n} epochs; {pictures / f'gradients_{activation}.png'}",
        )


if __name__ == "__main__":
    typer.run(main)
