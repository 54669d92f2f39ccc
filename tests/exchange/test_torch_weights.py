"""Weights to and from PyTorch: names, shapes, the order of modules, and the same outputs."""

from itertools import pairwise

import numpy as np
import pytest

import fastnn
from fastnn.exchange import from_state_dict, save_torch, to_state_dict, torch_weights

N_ROWS = 200


def make(*args, **options):
    """A network whose parameters are as after some training."""
    net, rng = fastnn.MLP(*args, seed=1, **options), np.random.default_rng(5)
    for name, view in net.parameters().items():
        if not name.endswith("weight"):
            view[:] = rng.uniform(0.2, 0.8, view.shape)
    return net


def linear(*sizes, names=None, dtype="float32", seed=0):
    """A state dict of Linear modules."""
    rng = np.random.default_rng(seed)
    state = {}
    for k, (n_in, n_out) in enumerate(pairwise(sizes)):
        name = names[k] if names else str(2 * k)
        state[f"{name}.weight"] = rng.normal(0, 1, (n_out, n_in)).astype(dtype)
        state[f"{name}.bias"] = rng.normal(0, 1, n_out).astype(dtype)
    return state


def test_names_and_shapes(dtype, tmp_path):
    net = make([4, 8, 5, 3], "relu", output="softmax", dropout=0.5, dtype=dtype)
    state = to_state_dict(net)
    assert list(state) == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]
    np.testing.assert_array_equal(state["2.weight"], net.weights[1].T)
    assert {array.dtype for array in state.values()} == {dtype}
    state["0.weight"][:] = 0  # a copy
    assert net.weights[0].any()
    save_torch(net, tmp_path / "torch.safetensors")
    from safetensors import safe_open

    with safe_open(tmp_path / "torch.safetensors", framework="numpy") as file:
        assert file.metadata() == {
            "modules": "nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 5), nn.ReLU(), "
            "nn.Linear(5, 3), nn.Softmax(1))"
        }
    back = from_state_dict(tmp_path / "torch.safetensors", output="softmax")
    for name, view in net.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], view)
    assert back.dtype == dtype


@pytest.mark.parametrize("norm", [None, "batch", "layer", ["batch", None]])
@pytest.mark.parametrize("activation", ["tanh", "prelu"])
def test_round_trip(norm, activation, dtype, rng):
    net = make([4, 8, 5, 3], activation, output="softmax", norm=norm, dtype=dtype)
    back = from_state_dict(to_state_dict(net), activation="tanh", output="softmax")
    assert (back.norm, [a.name for a in back.activations]) == (net.norm, [activation] * 2)
    for name, view in net.parameters().items():
        np.testing.assert_array_equal(back.parameters()[name], view)


@pytest.mark.parametrize(
    "names",
    [
        ["0", "2", "10"],
        ["model.0", "model.1", "model.2"],
        ["net.layers.0.linear", "net.layers.3.linear", "net.layers.12.linear"],
        ["fc1", "fc2", "fc3"],
    ],
)
def test_numbers_are_the_order(names, tmp_path):
    from safetensors.numpy import save_file

    state = linear(4, 8, 5, 3, names=names)
    mixed = {name: state[name] for name in sorted(state, key=lambda name: (-len(name), name))}
    save_file(mixed, tmp_path / "state.safetensors")
    for given in (mixed, tmp_path / "state.safetensors"):
        net = from_state_dict(given, ["tanh", "gelu"])
        assert net.sizes == (4, 8, 5, 3)
        np.testing.assert_array_equal(net.weights[1], state[f"{names[1]}.weight"].T)


def test_other_names_have_the_order_of_the_dict(tmp_path):
    from safetensors.numpy import save_file

    state = linear(4, 4, 4, 4, names=["input", "hidden", "head"])
    np.testing.assert_array_equal(from_state_dict(state).weights[1], state["hidden.weight"].T)
    save_file(state, tmp_path / "state.safetensors")
    with pytest.raises(ValueError, match=r"state.safetensors' .* are not numbered"):
        from_state_dict(tmp_path / "state.safetensors")


def test_no_bias_and_half_precision():
    state = {"0.weight": np.ones((3, 2), np.float16), "2.weight": np.ones((1, 3), np.float16)}
    net = from_state_dict(state)
    assert (net.dtype, net.sizes) == (np.float32, (2, 3, 1))
    assert not net.biases[0].any()


BATCH = {"weight": 1.5, "bias": 0.3, "running_mean": -0.2, "running_var": 2.0}


def normalisation(name, n=5):
    return {f"{name}.{kind}": np.full(n, value, np.float32) for kind, value in BATCH.items()}


def test_a_normalisation_after_the_activation(rng):
    """Linear 0, ReLU 1, BatchNorm 2, Linear 3: it becomes part of the next layer."""
    state = linear(4, 5, 3, names=["0", "3"]) | normalisation("2")
    net, x = from_state_dict(state), rng.normal(0, 1, (N_ROWS, 4)).astype(np.float32)
    hidden = np.maximum(x @ state["0.weight"].T + state["0.bias"], 0)
    hidden = (hidden + 0.2) / np.sqrt(2.0 + 1e-5) * 1.5 + 0.3
    np.testing.assert_allclose(
        net.predict_raw(x), hidden @ state["3.weight"].T + state["3.bias"], rtol=1e-5, atol=1e-5
    )
    assert net.norm == (None,)


def test_a_normalisation_before_the_first_layer(rng):
    """It has no activation to follow, and becomes part of the first layer."""
    state = normalisation("0", 4) | linear(4, 3, names=["1"])
    net, x = from_state_dict(state), rng.normal(0, 1, (N_ROWS, 4)).astype(np.float32)
    normalised = (x + 0.2) / np.sqrt(2.0 + 1e-5) * 1.5 + 0.3
    np.testing.assert_allclose(
        net.predict_raw(x), normalised @ state["1.weight"].T + state["1.bias"], rtol=1e-5, atol=1e-5
    )


def test_where_a_normalisation_stands_may_not_be_known():
    state = linear(4, 5, 3, names=["0", "4"]) | normalisation("2")
    with pytest.raises(ValueError, match=r"module '2' is .* with unknown modules both before and after it"):
        from_state_dict(state)


@pytest.mark.parametrize(
    ("state", "options", "message"),
    [
        ({}, {}, "no weights of a Linear module"),
        ({"0.weight": np.ones(3)}, {}, "no weights of a Linear module"),
        ({"0.weight": [[1], [1, 2]]}, {}, r"entry '0\.weight' cannot be converted to an array: its rows"),
        (
            {"conv.weight": np.ones((3, 2, 2, 2)), "conv.bias": np.ones(3)},
            {},
            r"module 'conv' holds weight \(3, 2, 2, 2\)",
        ),
        (
            linear(4, 5, 3) | {"2.weight": np.ones((3, 6))},
            {},
            "module '2' takes 6 values, but .* module '0', gives 5",
        ),
        (
            linear(4, 5, 3) | {"2.bias": np.ones(4)},
            {},
            r"module '2': its weight has shape \(5, 3\) and its bias \(4,\)",
        ),
        ({"0.bias": np.ones(3)}, {}, r"module '0' holds bias \(3,\)"),
        (
            linear(4, 5, 3) | {"0.weight": np.full((5, 4), np.inf)},
            {},
            "module '0': its weight has values that are NaN",
        ),
        (linear(4, 5, 3) | {"2.bias": np.array(["a"])}, {}, "entry '2.bias' is of dtype"),
        (linear(4, 5, 3), {"activation": "rellu"}, "Did you mean 'relu'"),
        (linear(4, 5, 3), {"activation": ["relu", "tanh"]}, "activation has 2 entries, but the state has 1"),
        (linear(4, 5, 3), {"activation": "prelu"}, "must hold the slopes of a PReLU"),
        (linear(4, 5, 3), {"output": "gelu"}, "output must be one of"),
        (
            linear(4, 5, 3, names=["0", "4"])
            | {"2.weight": np.ones(5), "2.bias": np.ones(5), "3.weight": np.ones(5)},
            {},
            "module '2': a layer normalisation does not follow a dense layer",
        ),
    ],
)
def test_states_that_are_no_network(state, options, message):
    with pytest.raises(ValueError, match=message):
        from_state_dict(state, **options)


def test_networks_that_sequential_cannot_hold():
    with pytest.raises(ValueError, match=r"has residual connections, which nn.Sequential cannot hold"):
        to_state_dict(fastnn.MLP([4, 4, 4, 2], residual=True, seed=0))
    with pytest.raises(ValueError, match=r"has embeddings, which nn.Sequential cannot hold"):
        to_state_dict(fastnn.MLP([4, 4, 2], embeddings={0: (3, 2)}, seed=0))
    with pytest.raises(ValueError, match="activation 'exp', for which PyTorch has no module"):
        to_state_dict(fastnn.MLP([4, 4, 2], "exp", seed=0))
    with pytest.raises(TypeError, match=r"to_state_dict takes a fastnn.MLP"):
        to_state_dict({})


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "pytorch_model.bin", "other"])
def test_pickles_are_refused(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(
        ValueError, match=r"it is a pickle, which may run code. .*safetensors.torch.save_file"
    ):
        from_state_dict(tmp_path / name)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        from_state_dict(tmp_path / "none.safetensors")
    with pytest.raises(TypeError, match="state must be a path, got 7"):
        from_state_dict(7)
    net = fastnn.MLP([4, 4, 4], seed=0)
    net.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=r"own.safetensors' is not .*: it is a model of fastnn: use"):
        from_state_dict(tmp_path / "own.safetensors")
    save_torch(net, tmp_path / "torch.safetensors")
    content = (tmp_path / "torch.safetensors").read_bytes()
    for end in (0, 4, 20, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.safetensors").write_bytes(content[:end])
        with pytest.raises(
            ValueError, match=r"cut.safetensors' is not a usable safetensors file.*: it is damaged"
        ):
            from_state_dict(tmp_path / "cut.safetensors")


# --- PyTorch itself ---------------------------------------------------------------------------------

MODULES = {
    "relu": "ReLU()",
    "tanh": "Tanh()",
    "sigmoid": "Sigmoid()",
    "leaky_relu": "LeakyReLU(0.01)",
    "elu": "ELU()",
    "selu": "SELU()",
    "gelu": "GELU()",
    "gelu_tanh": "GELU('tanh')",
    "silu": "SiLU()",
    "mish": "Mish()",
    "softplus": "Softplus()",
    "hard_sigmoid": "Hardsigmoid()",
    "hard_swish": "Hardswish()",
    "prelu": "PReLU(16)",
}


def test_every_module_is_compared_with_pytorch():
    assert {*MODULES, "softmax"} == {*torch_weights._MODULES, "prelu"}


@pytest.mark.peers
@pytest.mark.parametrize("name", sorted({"identity", *MODULES}))
@pytest.mark.parametrize("norm", [None, "batch", "layer"])
def test_pytorch_gives_the_same(name, norm, dtype, rng, tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    norms = {None: [], "batch": [nn.BatchNorm1d(16)], "layer": [nn.LayerNorm(16)]}[norm]
    act = [] if name == "identity" else [eval(f"nn.{MODULES[name]}", {"nn": nn})]
    model = nn.Sequential(nn.Linear(5, 16), *norms, *act, nn.Linear(16, 3), nn.Softmax(1))
    model = model.to(getattr(torch, dtype.name))
    x = rng.normal(0, 1, (N_ROWS, 5)).astype(dtype)
    model(torch.from_numpy(x))  # running statistics
    model.eval()
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}

    def check(net):
        np.testing.assert_allclose(
            net.predict_raw(x), model(torch.from_numpy(x)).detach().numpy(), **tolerance
        )

    check(from_state_dict(model.state_dict(), name if name != "prelu" else "relu", output="softmax"))
    net = make([5, 16, 3], name, output="softmax", norm=norm, dtype=dtype)
    model.load_state_dict({key: torch.from_numpy(array) for key, array in to_state_dict(net).items()})
    check(net)
    from safetensors.torch import load_file, save_file

    save_torch(net, tmp_path / "model.safetensors")
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    check(net)
    save_file(model.state_dict(), tmp_path / "state.safetensors")
    check(
        from_state_dict(tmp_path / "state.safetensors", name if name != "prelu" else "relu", output="softmax")
    )


@pytest.mark.peers
def test_pytorch_writes_what_modules_say(tmp_path):
    """The text in the file makes the model that its weights belong to."""
    torch = pytest.importorskip("torch")
    from safetensors import safe_open
    from safetensors.torch import load_file

    activations = ["identity", *MODULES]
    net = make([3, *[4] * len(activations), 2], activations, norm="batch", output="sigmoid")
    save_torch(net, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        model = eval(file.metadata()["modules"], {"nn": torch.nn})
    model.load_state_dict(load_file(tmp_path / "model.safetensors"))
    x = np.random.default_rng(0).normal(0, 1, (N_ROWS, 3)).astype(np.float32)
    expected = model.eval()(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(net.predict_raw(x), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.peers
def test_modules_of_a_class(rng):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(4, 6)
            self.bn = torch.nn.BatchNorm1d(6)
            self.head = torch.nn.Linear(6, 2)

        def forward(self, x):
            return self.head(torch.nn.functional.gelu(self.bn(self.inner(x))))

    model = Net().bfloat16().float()
    x = rng.normal(0, 1, (N_ROWS, 4)).astype(np.float32)
    model(torch.from_numpy(x))
    expected = model.eval()(torch.from_numpy(x)).detach().numpy()
    net = from_state_dict(model.state_dict(), "gelu")
    np.testing.assert_allclose(net.predict_raw(x), expected, rtol=1e-5, atol=1e-6)
    half = from_state_dict(model.bfloat16().state_dict(), "gelu")
    np.testing.assert_array_equal(half.weights[0], model.inner.weight.float().detach().numpy().T)
