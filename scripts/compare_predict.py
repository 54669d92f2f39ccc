"""Time predictions of fastnn, scikit-learn, PyTorch and ONNX Runtime from Python, on one thread.

All have the same weights and return the same probabilities; they take turns, one round each. fastnn is called
through ``net.predictor()`` and ``net.predict_proba``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before NumPy and PyTorch are imported

import numpy as np  # noqa: E402
import typer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import fastnn  # noqa: E402

Predict = Callable[[np.ndarray], Any]


def sklearn_predictor(net: fastnn.MLP) -> Predict:
    """Return scikit-learn's ``predict_proba`` with the network's weights."""
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(net.sizes[1:-1], max_iter=1)
    classes = np.arange(net.sizes[-1])
    model.partial_fit(np.zeros((len(classes), net.sizes[0]), net.dtype), classes, classes=classes)
    model.coefs_, model.intercepts_ = [w.copy() for w in net.weights], [b.copy() for b in net.biases]
    return model.predict_proba


def torch_predictor(net: fastnn.MLP) -> Predict:
    """Return a PyTorch module in inference mode, from array to array."""
    import torch

    torch.set_num_threads(1)
    layers: list[Any] = []
    for w, b in zip(net.weights, net.biases, strict=True):
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(w.T.copy()), torch.from_numpy(b.copy())
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1], torch.nn.Softmax(dim=1)).eval()

    @torch.inference_mode()
    def predict(x):
        return model(torch.from_numpy(x)).numpy()

    return predict


def onnx_predictor(net: fastnn.MLP) -> Predict:
    """Return a session of ONNX Runtime."""
    import onnx
    import onnxruntime

    nodes, constants, name = [], [], "x"
    for k, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        constants += [
            onnx.numpy_helper.from_array(a, f"{n}{k}") for n, a in (("w", w.copy()), ("b", b.copy()))
        ]
        nodes.append(onnx.helper.make_node("Gemm", [name, f"w{k}", f"b{k}"], [f"z{k}"]))
        last = k == len(net.sizes) - 2
        name = "y" if last else f"a{k}"
        nodes.append(onnx.helper.make_node("Softmax" if last else "Relu", [f"z{k}"], [name]))
    kind = onnx.TensorProto.FLOAT
    ends = (("x", net.sizes[0]), ("y", net.sizes[-1]))
    x, y = ([onnx.helper.make_tensor_value_info(n, kind, [None, width])] for n, width in ends)
    graph = onnx.helper.make_graph(nodes, "mlp", x, y, constants)
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda rows: session.run(None, {"x": rows})[0]


PREDICTORS: dict[str, tuple[str, Callable[[fastnn.MLP], Predict]]] = {
    "fastnn, predictor": ("fastnn", lambda net: net.predictor()),
    "fastnn, predict_proba": ("fastnn", lambda net: lambda x: net.predict_proba(x, n_threads=1)),
    "scikit-learn": ("sklearn", sklearn_predictor),
    "PyTorch": ("torch", torch_predictor),
    "ONNX Runtime": ("onnxruntime", onnx_predictor),
}


def call_us(predict: Predict, x: np.ndarray, seconds: float) -> float:
    """Return the mean time of a call in microseconds."""
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        for _ in range(max(1, 1000 // len(x))):
            predict(x)
            n += 1
    return 1e6 * (time.perf_counter() - start) / n


def main(
    sizes: Annotated[str, typer.Option(help="Widths of the layers.")] = "64-128-64-10",
    rows: Annotated[list[int] | None, typer.Option(help="Number of rows of a call; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Number of turns of each library.")] = 7,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a turn.")] = 0.2,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
) -> None:
    """Time predictions of fastnn, scikit-learn, PyTorch and ONNX Runtime, on one thread."""
    console = Console()
    net = fastnn.MLP([int(width) for width in sizes.split("-")], output="softmax", seed=0)
    predictors: dict[str, Predict] = {}
    for name, (module, make) in PREDICTORS.items():
        if importlib.util.find_spec(module) is None:
            console.print(f"{name} is not installed and left out.")
        else:
            predictors[name] = make(net)
    report: dict[str, dict[str, float]] = {}
    for n_rows in rows or [1, 32, 20_000]:
        x = np.random.default_rng(0).standard_normal((n_rows, net.sizes[0]), dtype="float32")
        expected = net.predict_proba(x)
        for name, predict in predictors.items():
            np.testing.assert_allclose(predict(x), expected, atol=1e-5, err_msg=name)
        times: dict[str, list[float]] = {name: [] for name in predictors}
        for _ in range(rounds):
            for name, predict in predictors.items():
                times[name].append(call_us(predict, x, seconds))
        report[str(n_rows)] = {name: statistics.median(its) for name, its in times.items()}
    table = Table("library", *(f"{n} rows" for n in report), title=f"{sizes}, one thread, us a call: medians")
    for name in predictors:
        table.add_row(name, *(f"{figures[name]:,.4g}" for figures in report.values()))
    console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    typer.run(main)
