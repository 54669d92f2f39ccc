"""Steps: networks as steps and back, scalings that are folded, and chains that are not an MLP."""

import numpy as np
import pytest

import fastnn
from fastnn.exchange.steps import (
    Activate,
    AddInput,
    BatchNorm,
    Dense,
    LayerNorm,
    Scale,
    fold_norms,
    has_one_label,
    network_of,
    steps_of,
)


def dense(rng, n_in, n_out, where="d"):
    return Dense(rng.normal(0, 1, (n_in, n_out)), rng.normal(0, 1, n_out), where)


def batch_norm(rng, n, **options):
    mean, variance = rng.normal(0, 1, n), rng.uniform(0.5, 2, n)
    return BatchNorm(rng.uniform(0.5, 2, n), rng.normal(0, 1, n), mean, variance, where="bn", **options)


def apply(steps, x):
    """What steps without residual connections compute, by their formulas."""
    functions = {"tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "identity": lambda z: z}
    for step in steps:
        if isinstance(step, Dense):
            x = x @ step.weight + step.bias
        elif isinstance(step, BatchNorm):
            x = step.gain * (x - step.mean) / np.sqrt(step.variance + step.eps) + step.shift
        elif isinstance(step, Scale):
            x = x * step.factor + step.shift
        else:
            x = functions[step.name](x)
    return x


@pytest.mark.parametrize(
    "options",
    [
        {"activation": ["prelu", "elu"], "norm": ["batch", "layer"], "output": "softmax"},
        {"activation": "tanh", "residual": True, "output": "identity"},
    ],
)
def test_a_network_of_its_steps_is_the_same(options, dtype, rng):
    net = fastnn.MLP([4, 4, 4, 3], **options, dtype=dtype, seed=0)
    net.params[:] = rng.uniform(0.5, 1.5, net.params.shape)
    back = network_of(steps_of(net, "steps", chain_only=False))
    assert (back.sizes, back.norm, back.residual, back.output) == (
        net.sizes,
        net.norm,
        net.residual,
        net.output,
    )
    for name, view in net.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], view)


def test_steps_hold_copies():
    net = fastnn.MLP([2, 3, 1], seed=0)
    steps_of(net, "steps")[0].weight[:] = 0
    assert net.weights[0].any()


def test_scalings_are_folded_wherever_they_stand(rng):
    steps = [
        Scale(2.0, np.array([1.0, -1.0, 0.5])),
        batch_norm(rng, 3),
        dense(rng, 3, 4),
        Scale(np.array([0.5, 2.0, 3.0, 1.0]), 0.1),
        Activate("tanh"),
        batch_norm(rng, 4, eps=0.01),
        Scale(0.5, 0.2),
        dense(rng, 4, 5),
        batch_norm(rng, 5, eps=0.1),
        Scale(3.0, -0.3),
        Activate("relu"),
        dense(rng, 5, 2),
        batch_norm(rng, 2),
    ]
    net, x = network_of(steps), rng.normal(0, 1, (50, 3))
    assert (net.norm, net.output) == ((None, "batch"), "identity")
    np.testing.assert_allclose(net.predict_raw(x), apply(steps, x), rtol=1e-12, atol=1e-12)


def test_norms_are_folded_into_the_layer_before(rng):
    steps = [dense(rng, 3, 4), batch_norm(rng, 4), Activate("tanh"), batch_norm(rng, 4), dense(rng, 4, 2)]
    folded, x = fold_norms(steps), rng.normal(0, 1, (50, 3))
    assert [type(step) for step in folded] == [Dense, Activate, BatchNorm, Dense]
    np.testing.assert_allclose(apply(folded, x), apply(steps, x), rtol=1e-12, atol=1e-12)


def test_output_and_dtype(rng):
    single = Dense(np.ones((2, 3), np.float32), np.zeros(3, np.float32))
    assert network_of([single]).dtype == np.float32
    assert network_of([single], dtype="float64").dtype == np.float64
    assert network_of([single, dense(rng, 3, 1)]).dtype == np.float64
    assert network_of([single], output="softmax").output == "softmax"
    assert network_of([single, Activate("softmax")], output="softmax").output == "softmax"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda rng: [], "it has no dense layer"),
        (lambda rng: [dense(rng, 2, 2), Activate("tanh"), Scale(2.0, 0.0, "s")], "s: a scaling follows"),
        (lambda rng: [dense(rng, 2, 2), Activate("gelu", where="g")], "g: the output layer has the"),
        (lambda rng: [dense(rng, 2, 2), LayerNorm(np.ones(2), np.ones(2))], "only hidden layers"),
        (lambda rng: [dense(rng, 2, 2), AddInput()], "only hidden layers"),
        (lambda rng: [dense(rng, 2, 3), AddInput("+")], r"\+: only the output of a layer as wide"),
        (lambda rng: [dense(rng, 2, 3), dense(rng, 2, 1, "e")], "e takes 2 values, but .* d, gives 3"),
        (lambda rng: [dense(rng, 2, 3), Scale(np.ones(2), 0.0, "s")], "s takes 2 values, but"),
        (lambda rng: [Scale(np.ones(3), 0.0, "s"), dense(rng, 2, 2)], "s and d take different numbers"),
        (lambda rng: [Dense(np.ones(2), np.ones(2), "d")], r"d: its weight has shape \(2,\)"),
        (lambda rng: [Dense(np.full((2, 2), np.nan), np.ones(2), "d")], "d: its weight .* NaN"),
        (
            lambda rng: [dense(rng, 2, 2), LayerNorm(np.ones(2), np.ones(2), 0.01, "n"), dense(rng, 2, 1)],
            "n: a layer normalisation adds 0.01 to variances, fastnn 1e-05",
        ),
        (
            lambda rng: [dense(rng, 2, 2), Activate("tanh"), Activate("relu", where="r")],
            "r: activation 'relu' does not follow a dense layer of its own",
        ),
    ],
)  # fmt: skip
def test_chains_that_are_no_network(make, message, rng):
    with pytest.raises(ValueError, match=message):
        network_of(make(rng))


def test_outputs_of_several_labels():
    assert has_one_label(fastnn.MLP([2, 3], output="softmax", seed=0))
    assert has_one_label(fastnn.MLP([2, 1], output="sigmoid", seed=0))
    assert not has_one_label(fastnn.MLP([2, 3], output="sigmoid", seed=0))
