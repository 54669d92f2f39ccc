"""Arguments of readers and writers: models, files, outputs, and errors that name the file."""

import pytest

import fastnn
from fastnn.exchange.arguments import (
    as_network,
    check_output,
    estimator_network,
    existing_file,
)


def test_networks_and_estimators():
    net = fastnn.MLP([2, 3, 1], seed=0)
    assert as_network(net, "to_onnx") is net
    assert estimator_network(net) is None
    with pytest.raises(TypeError, match=r"to_onnx takes a fastnn.MLP or a fitted fastnn estimator, got 3\."):
        as_network(3, "to_onnx")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_fitted_estimators_only():
    exceptions = pytest.importorskip("sklearn.exceptions")
    model = fastnn.MLPRegressor(hidden_layer_sizes=(3,), max_iter=1, solver="lbfgs")
    with pytest.raises(exceptions.NotFittedError):
        as_network(model, "to_onnx")
    model.fit([[0.0, 1.0], [1.0, 0.0]], [0.0, 1.0])
    assert as_network(model, "to_onnx").sizes == (2, 3, 1)


def test_something_with_a_network_gets_a_hint():
    class Model:
        net = fastnn.MLP([2, 3, 1], seed=0)

    with pytest.raises(TypeError, match=r"pass its \.net, and encode rows first"):
        as_network(Model(), "to_state_dict")


def test_files_must_exist(tmp_path):
    (tmp_path / "a.onnx").touch()
    assert existing_file(str(tmp_path / "a.onnx"), "source") == tmp_path / "a.onnx"
    with pytest.raises(FileNotFoundError, match="there is no file"):
        existing_file(tmp_path, "source")
    with pytest.raises(TypeError, match="source must be a path, got 3"):
        existing_file(3, "source")


def test_outputs_by_name():
    assert check_output(None) is None
    assert check_output("softmax") == "softmax"
    with pytest.raises(ValueError, match=r"output must be one of .* Did you mean 'softmax'"):
        check_output("softmx")
