"""Networks to export, and what ONNX Runtime computes from their files."""

import numpy as np
import pytest

import fastnn
from fastnn.activations import NAMES
from fastnn.exchange import onnx_functions, to_onnx
from fastnn.exchange.onnx_operators import OPERATORS

ort = pytest.importorskip("onnxruntime")
ort.set_default_logger_severity(3)

ACTIVATIONS = [name for name in NAMES if name in {"identity", "silu", *OPERATORS, *onnx_functions.NAMES}]
N_ROWS = 1000
TOLERANCE = {np.dtype("float32"): 1e-5, np.dtype("float64"): 1e-12}


def perturb(net, rng):
    """Parameters as after some training: nothing is 0 or 1 any more."""
    for name, view in net.parameters().items():
        kind = name.rpartition(".")[2]
        if kind != "weight":
            view[:] = (
                rng.uniform(0.5, 1.5, view.shape)
                if kind.startswith("running")
                else (rng.normal(0.2, 0.3, view.shape))
            )
    return net


def make(*args, rng=None, **options):
    return perturb(fastnn.MLP(*args, seed=1, **options), np.random.default_rng(5))


def run(content, **inputs):
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, inputs), strict=True))


def rows_for(net, rng, n=N_ROWS):
    x = rng.standard_normal((n, net.sizes[0])).astype(net.dtype)
    for column, (n_categories, _) in net.embeddings.items():
        x[:, column] = rng.integers(0, n_categories, n)
    return x


def check(net, rng):
    """The file says what the network says; so does the network read from it. Returns the latter."""
    x, content = rows_for(net, rng), to_onnx(net)
    expected, close = net.predict_raw(x), {"rtol": TOLERANCE[net.dtype], "atol": TOLERANCE[net.dtype]}
    found = run(content, x=x)
    np.testing.assert_allclose(found["output"], expected, **close)
    assert found["output"].dtype == net.dtype
    if net.output in ("softmax", "sigmoid"):
        # Where two outputs are as good as equal, either may be called the larger one.
        agree = (found["label"] == net.predict(x)).mean()
        assert agree >= 0.998
        assert found["label"].dtype == np.int64
    return x, expected, content, close
