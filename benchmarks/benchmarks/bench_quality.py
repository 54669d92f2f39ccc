"""Accuracy and R squared on held-out rows, from fixed seeds."""

from __future__ import annotations

import fastnn

from .common import load_split


class Digits:
    """Accuracy on scikit-learn's 8 x 8 digits."""

    params = (["sgd", "adam"], ["float32", "float64"])
    param_names = ("optimizer", "dtype")
    unit = "accuracy"

    def setup_cache(self):
        from sklearn.datasets import load_digits

        return load_split(load_digits)

    def track_accuracy(self, data, optimizer, dtype):
        x_train, x_test, y_train, y_test = data
        net = fastnn.MLP([64, 64, 10], dtype=dtype, seed=0)
        trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=optimizer, seed=0)
        trainer.fit(x_train, y_train, epochs=50, verbose=0)
        return round(trainer.evaluate(x_test, y_test)["accuracy"], 4)


class Diabetes:
    """R squared on scikit-learn's diabetes data, which a network soon overfits."""

    params = (["relu", "tanh"],)
    param_names = ("activation",)
    unit = "R squared"

    def setup_cache(self):
        from sklearn.datasets import load_diabetes

        return load_split(load_diabetes)

    def track_r2(self, data, activation):
        x_train, x_test, y_train, y_test = data
        mean, deviation = y_train.mean(), y_train.std()
        net = fastnn.MLP([10, 16, 1], activation, seed=0)
        trainer = fastnn.Trainer(net, loss="mse", l2=1.0, seed=0)
        trainer.fit(x_train, (y_train - mean) / deviation, epochs=100, verbose=0)
        return round(trainer.evaluate(x_test, (y_test - mean) / deviation)["r2"], 4)
