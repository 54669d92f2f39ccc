"""Quantile regression: a range for each prediction instead of one number.

A network with three outputs learns the 10 %, 50 % and 90 % quantiles of the progression of diabetes. 80 % of
the true values should lie between the outer two; the actual share is printed.

    python scripts/examples/quantile_regression.py
"""

import numpy as np
import typer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold

import fastnn

LEVELS = [0.1, 0.5, 0.9]


def main(small: bool = False) -> None:
    """Run five-fold cross-validation, in which every row is predicted by a network that has not seen it."""
    x, y = load_diabetes(return_X_y=True)
    x = x / x.std(axis=0)
    quantiles = np.empty((len(y), len(LEVELS)))
    for fold, (train, test) in enumerate(KFold(5, shuffle=True, random_state=0).split(x)):
        mean, scale = y[train].mean(), y[train].std()
        net = fastnn.MLP([x.shape[1], 16, len(LEVELS)], "silu", dropout=0.2, seed=fold)
        trainer = fastnn.Trainer(net, loss=fastnn.Loss("quantile", levels=LEVELS), seed=fold)
        trainer.fit(x[train], (y[train] - mean) / scale, epochs=10 if small else 200, verbose=0)
        quantiles[test] = np.sort(net.predict(x[test]) * scale + mean, axis=1)  # which may cross
    low, middle, high = quantiles.T
    print("five rows: truth, and what was predicted")
    for row in range(5):
        print(f"  {y[row]:5.0f}   {middle[row]:5.0f}, between {low[row]:.0f} and {high[row]:.0f}")
    print(f"between the outer quantiles: {np.mean((low <= y) & (y <= high)):.0%} of the rows, expected 80 %")
    print(f"below the median: {np.mean(y < middle):.0%}, expected 50 %")
    print(f"mean absolute error of the median: {np.abs(y - middle).mean():.1f}")


if __name__ == "__main__":
    typer.run(main)
