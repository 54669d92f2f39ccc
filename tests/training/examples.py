"""Trainers that several files of tests use, and comparisons of them."""

from __future__ import annotations

import numpy as np

import fastnn


def make_two_class_trainer(**options):
    net = fastnn.MLP([5, 32, 2], seed=0)
    options = {"optimizer": fastnn.Adam(lr=0.01), "seed": 0} | options
    return fastnn.Trainer(net, **{"loss": "cross_entropy"} | options)


def make_blobs_trainer(loss="cross_entropy", sizes=(2, 8, 3), **options):
    options = {"seed": 0, "batch_size": 32} | options
    return fastnn.Trainer(fastnn.MLP(sizes, seed=0), loss=loss, **options)


def make_binary_rows(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((60, 4))
    return x, (x[:, 0] + x[:, 1] > 0.5).astype(int)


def make_binary_trainer(**options):
    net = fastnn.MLP([4, 6, 1], activation="tanh", dtype="float64", seed=0)
    return fastnn.Trainer(net, **{"loss": "binary_cross_entropy", "seed": 0, "batch_size": 20, **options})


LR = 0.25


def make_whole_batch_trainer(net=None, dtype="float64", **options):
    net = net or fastnn.MLP([4, 7, 3], "tanh", dtype=dtype, seed=0)
    settings = {"loss": "cross_entropy", "optimizer": fastnn.SGD(lr=LR), "batch_size": None, "shuffle": False}
    return fastnn.Trainer(net, **settings | {"seed": 0} | options)


def assert_same_parameters(comp, ref):
    for name, array in ref.net.parameters().items():
        np.testing.assert_array_equal(comp.net.parameters()[name], array, name)


def fit_network(
    data, sizes=(20, 24, 4), *, epochs=2, seed=0, net_seed=0, dtype="float32", net=None, weights=None, **rest
):
    """A trained network and the costs of its epochs; `net` are its options, the rest are the trainer's."""
    network = fastnn.MLP(sizes, dtype=dtype, seed=net_seed, **(net or {}))
    options = {"loss": "cross_entropy", "batch_size": 32} | rest
    trainer = fastnn.Trainer(network, seed=seed, **options)
    history = trainer.fit(*data, epochs=epochs, sample_weight=weights, verbose=0)
    return network, history.to_dict()["cost"]
