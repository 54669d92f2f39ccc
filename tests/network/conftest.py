"""Networks that several files of tests save, load and predict with."""

import pytest

import fastnn
from network.networks import KEPT


@pytest.fixture
def model(tmp_path):
    net = fastnn.MLP([5, 7, 3], activation="tanh", output="softmax", seed=1)
    net.metadata = {"classes": ["a", "b", "c"]}
    path = tmp_path / "model.safetensors"
    net.save(path)
    return net, path


@pytest.fixture(params=KEPT.values(), ids=KEPT)
def kept(request, dtype, rng):
    """A network of which every parameter and running statistic is another number."""
    net = fastnn.MLP([6, 9, 9, 9, 4], **request.param, dtype=dtype, seed=0)
    for array in net.parameters().values():
        array[:] = rng.uniform(0.5, 1.5, array.shape)
    return net
