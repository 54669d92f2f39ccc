"""A loss of your own: underestimates cost three times as much as overestimates.

A plain Python function of two numbers, the output and the target, is compiled into the training; a derivative
may be given, but is not needed. Here the network tends to overestimate the progression of diabetes.

    python scripts/examples/custom_loss.py
"""

import numpy as np
import typer
from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

import fastnn


def lopsided(a, y):
    """Squared error, times three where the output is too low."""
    error = a - y
    return error * error if error > 0 else 3 * error * error


def main(small: bool = False) -> None:
    """Train with squared error and with the loss above."""
    x, y = load_diabetes(return_X_y=True)
    x = x / x.std(axis=0)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=0)
    mean, scale = y_train.mean(), y_train.std()
    losses = {"squared error": "mse", "lopsided": fastnn.Loss(lopsided)}
    for name, loss in losses.items():
        net = fastnn.MLP([x.shape[1], 32, 1], "tanh", seed=0)
        trainer = fastnn.Trainer(net, loss=loss, l2=1.0, seed=0)
        trainer.fit(x_train, (y_train - mean) / scale, epochs=10 if small else 60, verbose=0)
        answer = net.predict(x_test) * scale + mean
        error = answer - y_test
        costs = np.where(error > 0, error**2, 3 * error**2).mean()
        print(f"{name:13}  too low in {np.mean(error < 0):.0%} of the rows; lopsided cost {costs:,.0f}")


if __name__ == "__main__":
    typer.run(main)
