"""Losses by address: loss and score of each row, and the delta of the output layer."""

from __future__ import annotations

import json
import re

import numba
import numpy as np
import pytest
import reference
import reference_hooks

from fastnn.kernels.activations import IDENTITY, SIGMOID, SOFTMAX, TANH
from fastnn.kernels.hooks import losses
from fastnn.kernels.simd import WIDTH_BYTES

# name, numbers, output activation where it is free, number of outputs
CASES = [
    ("mae", [], IDENTITY, 1),
    ("mae", [], TANH, 18),
    ("huber", [0.7], IDENTITY, 17),
    ("huber", [1.5], SIGMOID, 2),
    ("log_cosh", [], IDENTITY, 17),
    ("log_cosh", [], TANH, 3),
    ("quantile", [0.9], IDENTITY, 3),
    ("quantile", [0.1, 0.5, 0.95], IDENTITY, 3),
    ("quantile", [0.1, 0.8], SIGMOID, 2),
    ("poisson", [], IDENTITY, 1),
    ("poisson", [], IDENTITY, 17),
    ("gamma", [], IDENTITY, 2),
    ("tweedie", [1.2], IDENTITY, 3),
    ("tweedie", [1.7], IDENTITY, 18),
    ("binary_cross_entropy", [0.1], IDENTITY, 1),
    ("binary_cross_entropy", [0.3], IDENTITY, 17),
    ("binary_focal", [2.0, 0.25], IDENTITY, 1),
    ("binary_focal", [0.5, -1.0], IDENTITY, 18),
    ("hinge", [], IDENTITY, 1),
    ("hinge", [], IDENTITY, 17),
    ("squared_hinge", [], IDENTITY, 3),
    ("cross_entropy", [0.1], IDENTITY, 2),
    ("cross_entropy", [0.3], IDENTITY, 18),
    ("focal", [2.0, 0.25], IDENTITY, 2),
    ("focal", [0.5, 1.0], IDENTITY, 18),
    ("focal", [0.0, 1.0], IDENTITY, 5),
    ("multiclass_hinge", [], IDENTITY, 2),
    ("multiclass_hinge", [], IDENTITY, 18),
    ("kl_divergence", [], IDENTITY, 2),
    ("kl_divergence", [], IDENTITY, 18),
    ("linear", [], IDENTITY, 3),
    ("linear", [], TANH, 18),
    ("linear", [], SIGMOID, 2),
    ("linear", [], SOFTMAX, 5),
    ("linear", [], SOFTMAX, 18),
]
IDS = [f"{name}-{numbers}-{n_out}" for name, numbers, _, n_out in CASES]
every_case = pytest.mark.parametrize(("name", "numbers", "output", "n_out"), CASES, ids=IDS)
CLASSES = ("cross_entropy", "focal", "multiclass_hinge")
LABELS = ("binary_cross_entropy", "binary_focal", "hinge", "squared_hinge")
POSITIVE = ("poisson", "gamma", "tweedie")
UNBOUNDED = (*POSITIVE, "linear")


@pytest.fixture
def buffers(rng, dtype, poisoned):
    """Make the arrays of 12 rows, those written to and all padding NaN: losses, scores, delta, z, y."""

    def make(name, numbers, n_out, dtype=dtype):
        z = rng.uniform(-4, 4, (12, n_out))
        if name in CLASSES:
            y = rng.integers(0, n_out, (12, 1))
        elif name in LABELS:
            y = rng.integers(0, 2, (12, n_out))
        elif name in POSITIVE:
            y = rng.uniform(0.1, 5, (12, n_out))
            if name != "gamma":
                y[::3] = 0
        elif name == "kl_divergence":
            y = rng.dirichlet(np.ones(n_out), 12)
            y[3] = np.eye(n_out)[-1]
        else:
            y = rng.standard_normal((12, 1 if len(numbers) > 1 else n_out))
        written = np.full((2, 12), np.nan)
        return *written, poisoned(np.full(z.shape, np.nan), dtype), poisoned(z, dtype), y.astype(dtype)

    return make


def run(name, arrays, numbers, *scalars):
    getattr(losses, name)(*arrays, np.array(numbers, np.float64), *scalars)


@every_case
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_against_the_twin(buffers, dtype, name, numbers, output, n_out, scale):
    comp = buffers(name, numbers, n_out)
    ref = reference.doubled(comp)
    run(name, comp, numbers, scale, 1 / 7, output, n_out, 2, 12)
    reference_hooks.LOSSES[name](*ref, np.array(numbers), scale, 1 / 7, output, n_out, 2, 12)
    eps = np.finfo(dtype).eps
    # Sums over up to 18 outputs of terms good to 10 eps. What cancels in a loss or a score is of size 100:
    # exp(4) - 5, squared, has an error of 2 * 55 * 60 eps, and a Tweedie's terms are 5 / (0.2 * 0.8).
    np.testing.assert_allclose(comp[0], ref[0], rtol=60 * eps, atol=100 * eps)
    np.testing.assert_allclose(comp[1], ref[1], rtol=60 * eps, atol=100 * eps)
    np.testing.assert_allclose(
        comp[2][:, :n_out], ref[2][:, :n_out], rtol=60 * eps, atol=60 * eps * scale / 7
    )


@every_case
def test_delta_is_the_slope_of_the_cost(buffers, name, numbers, output, n_out):
    arrays = buffers(name, numbers, n_out, np.float64)
    *_, delta, z, y = arrays
    run(name, (*arrays[:3], z.copy(), y), numbers, 0.5, 1 / 12, output, n_out, 0, 12)
    # Central differences: h^2 / 6 times third derivatives below 500 / 24, and eps times a loss of 100 over h.
    h, atol = 1e-5, 1e-8
    for o in range(n_out):
        sides = []
        for step in (h, -h):
            moved, of_rows = z.copy(), np.empty((2, 12))
            moved[:, o] += step
            run(name, (*of_rows, delta.copy(), moved, y), numbers, 0.5, 1, output, n_out, 0, 12)
            sides.append(of_rows[0] / 12)
        np.testing.assert_allclose(delta[:, o], (sides[0] - sides[1]) / (2 * h), atol=atol)


@every_case
def test_range(buffers, name, numbers, output, n_out):
    whole = buffers(name, numbers, n_out)
    comp = tuple(array.copy() for array in whole)
    before = comp[3].copy()
    run(name, whole, numbers, 1.0, 0.25, output, n_out, 0, 12)
    run(name, comp, numbers, 1.0, 0.25, output, n_out, 3, 4)
    run(name, comp, numbers, 1.0, 0.25, output, n_out, 4, 9)
    for array, entire in zip(comp[:3], whole[:3], strict=True):
        of_rows = np.s_[3:9] if array.ndim == 1 else np.s_[3:9, :n_out]
        assert not np.isnan(array[of_rows]).any()
        np.testing.assert_array_equal(array[of_rows], entire[of_rows])
        assert np.isnan(np.delete(array, np.s_[3:9], 0)).all()
    np.testing.assert_array_equal(np.delete(comp[3], np.s_[3:9], 0), np.delete(before, np.s_[3:9], 0))


@every_case
def test_nan_reaches_the_loss_of_its_row_alone(buffers, name, numbers, output, n_out):
    for o in range(n_out):
        arrays = buffers(name, numbers, n_out)
        arrays[3][5, o] = np.nan
        run(name, arrays, numbers, 1.0, 1.0, output, n_out, 0, 12)
        np.testing.assert_array_equal(np.isnan(arrays[0]), np.arange(12) == 5)


@every_case
@pytest.mark.parametrize("sign", [1, -1])
def test_far_out_is_no_nan(buffers, name, numbers, output, n_out, sign):
    arrays = buffers(name, numbers, n_out)
    arrays[3][:, :n_out] = sign * 1e4 * np.where(np.arange(12 * n_out).reshape(12, n_out) % 3 == 0, 1, -1)
    run(name, arrays, numbers, 1.0, 1.0, output, n_out, 0, 12)
    assert not np.isnan(arrays[0]).any()
    assert not np.isnan(arrays[2][:, :n_out]).any()
    if name not in UNBOUNDED:  # whose means overflow, as they should
        assert np.isfinite(arrays[0]).all()


@pytest.mark.parametrize(("name", "numbers"), [("poisson", []), ("gamma", []), ("tweedie", [1.5])])
def test_a_deviance_is_0_at_a_perfect_fit(dtype, poisoned, name, numbers):
    y = np.array([[0.5, 1.0, 3.0, 20.0]], dtype)
    of_rows, delta = np.empty((2, 1)), poisoned(y, dtype)
    run(name, (*of_rows, delta, poisoned(np.log(y), dtype), y), numbers, 1.0, 1.0, 0, 4, 0, 1)
    # y and exp(z), up to 20, with the rounding of z = log(y), up to 3, in it
    atol = 100 * np.finfo(dtype).eps
    assert abs(of_rows[0][0]) <= atol
    np.testing.assert_allclose(delta[0, :4], 0, atol=atol)


def test_worked_by_hand(dtype, poisoned):
    def loss_and_delta(name, numbers, z, y, output=IDENTITY):
        of_rows, delta, n_out = np.empty((2, 1)), poisoned([z], dtype), len(z)
        arrays = (*of_rows, delta, poisoned([z], dtype), np.array([y], dtype))
        run(name, arrays, numbers, 1.0, 1.0, output, n_out, 0, 1)
        return [*of_rows[:, 0], *delta[0, :n_out]]

    # Some roundings each; the numbers are of size 1.
    close = {"rtol": 10 * np.finfo(dtype).eps, "atol": 10 * np.finfo(dtype).eps}
    # |2|, |-1|: mean 3/2; squares 5; signs halved
    np.testing.assert_allclose(loss_and_delta("mae", [], [3, 1], [1, 2]), [1.5, 5, 0.5, -0.5], **close)
    # 1 (2 - 1/2), 0.5^2 / 2: mean 0.8125
    ref = [0.8125, 4.25, 0.5, 0.25]
    np.testing.assert_allclose(loss_and_delta("huber", [1.0], [3, 1.5], [1, 1]), ref, **close)
    # the target 1 is 1 above 0 at level 0.9, and 2 below 3 at level 0.5: (0.9 + 1) / 2
    ref = [0.95, 5, -0.45, 0.25]
    np.testing.assert_allclose(loss_and_delta("quantile", [0.9, 0.5], [0, 3], [1]), ref, **close)
    # mean 1, count 0: 1; and mean 1, count 2: 2 ln 2 - 1
    ref = [np.log(2), 2, 0.5, -0.5]
    np.testing.assert_allclose(loss_and_delta("poisson", [], [0, 0], [0, 2]), ref, **close)
    # 2 - ln 2 - 1
    np.testing.assert_allclose(loss_and_delta("gamma", [], [0], [2]), [1 - np.log(2), 1, -1], **close)
    # sqrt(4) / (-1/4) + 4 / (1/2) + 1 / (1/2)
    np.testing.assert_allclose(loss_and_delta("tweedie", [1.5], [0], [4]), [2, 9, -3], **close)
    # s = 1/2; 1/4 (1/2)^2 ln 2, slope -1/16 (2 * 1/2 ln 2 + 1/2)
    ref = [np.log(2) / 16, 0, -(np.log(2) + 0.5) / 16]
    np.testing.assert_allclose(loss_and_delta("binary_focal", [2.0, 0.25], [0], [1]), ref, **close)
    # label 1 at 1/2: short by 1/2; label 0 at 1/2: by 3/2
    np.testing.assert_allclose(loss_and_delta("hinge", [], [0.5, 0.5], [1, 0]), [1, 0.5, -0.5, 0.5], **close)
    ref = [1.25, 0.5, -0.5, 1.5]
    np.testing.assert_allclose(loss_and_delta("squared_hinge", [], [0.5, 0.5], [1, 0]), ref, **close)
    # 1 + 2 - 1.5, the rival is the second
    ref = [1.5, 0, -1, 1, 0]
    np.testing.assert_allclose(loss_and_delta("multiclass_hinge", [], [1.5, 2, 1], [0]), ref, **close)
    # p = 1/4, 3/4; y = 1/2, 1/2: ln 2 / 2 + ln(2/3) / 2
    ref = [np.log(4 / 3) / 2, 0, -0.25, 0.25]
    np.testing.assert_allclose(loss_and_delta("kl_divergence", [], [0, np.log(3)], [0.5, 0.5]), ref, **close)


@pytest.mark.parametrize("name", [*CLASSES, "kl_divergence"])
def test_the_first_of_equal_classes_is_predicted(dtype, poisoned, name):
    numbers = {"cross_entropy": [0.1], "focal": [2.0, 1.0]}.get(name, [])
    y = np.array([[0], [1], [2]])
    y = np.eye(3)[y[:, 0]] if name == "kl_divergence" else y
    of_rows, z = np.empty((2, 3)), poisoned(np.ones((3, 3)), dtype)
    run(name, (*of_rows, z.copy(), z, y.astype(dtype)), numbers, 1.0, 1.0, IDENTITY, 3, 0, 3)
    np.testing.assert_array_equal(of_rows[1], [1, 0, 0])


def test_focal_loss_of_a_sure_row(dtype, poisoned):
    # -(1 - s)^focus log(s) with 1 - s = exp(-d) / (1 + exp(-d)), which a difference from 1 would round to 0
    d, focus = np.array([20.0, 40.0, 50.0]), 0.5
    of_rows, z = np.empty((2, 3)), poisoned(np.stack([d, 0 * d], axis=1), dtype)
    delta = z.copy()
    run("focal", (*of_rows, delta, z, np.zeros((3, 1), dtype)), [focus, 1.0], 1.0, 1.0, IDENTITY, 2, 0, 3)
    rest = np.exp(-d) / (1 + np.exp(-d))
    # exp(-d) is good to an eps of the dtype
    rtol = 4 * np.finfo(dtype).eps
    np.testing.assert_allclose(of_rows[0], -(rest**focus) * np.log1p(-rest), rtol=rtol)
    slope = rest**focus * (focus * (1 - rest) * np.log1p(-rest) - rest)
    np.testing.assert_allclose(delta[:, 0], slope, rtol=rtol)


def as_tensors(torch, arrays, n_out):
    """z, with a gradient, and y in float64."""
    return (
        torch.tensor(arrays[3][:, :n_out].astype(np.float64), requires_grad=True),
        torch.tensor(arrays[4].astype(np.float64)),
    )


def peer_focal(torch, z, y, numbers):
    """Torchvision's sigmoid_focal_loss, with an alpha below 0 for none."""
    focus, alpha = numbers
    cost = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
    p = torch.sigmoid(z)
    weight = alpha * y + (1 - alpha) * (1 - y) if alpha >= 0 else 1
    return weight * cost * (1 - (p * y + (1 - p) * (1 - y))) ** focus


def peer_loss(torch, name, z, y, numbers):
    """The mean over the rows, by PyTorch."""
    functional = torch.nn.functional
    m = torch.exp(z)
    peers = {
        "mae": lambda: functional.l1_loss(z, y),
        "huber": lambda: functional.huber_loss(z, y, delta=numbers[0]),
        # Up to what depends on y alone
        "poisson": lambda: (
            functional.poisson_nll_loss(z, y, log_input=True) + (torch.special.xlogy(y, y) - y).mean()
        ),
        "gamma": lambda: (
            (
                -torch.distributions.Gamma(1.0, 1 / m).log_prob(y) - torch.log(y) - 1  # the shape is 1
            ).mean()
        ),
        "binary_cross_entropy": lambda: functional.binary_cross_entropy_with_logits(
            z, y * (1 - numbers[0]) + numbers[0] / 2
        ),
        "binary_focal": lambda: peer_focal(torch, z, y, numbers).mean(),
        "cross_entropy": lambda: functional.cross_entropy(z, y[:, 0].long(), label_smoothing=numbers[0]),
        "kl_divergence": lambda: functional.kl_div(torch.log_softmax(z, 1), y, reduction="batchmean"),
    }
    return peers[name]()


PEERS = {"mae", "huber", "poisson", "gamma", "binary_cross_entropy", "binary_focal", "cross_entropy"}
PEER_CASES = [case for case in CASES if case[0] in PEERS | {"kl_divergence"} and case[2] == IDENTITY]


@pytest.mark.peers
@pytest.mark.parametrize(("name", "numbers", "output", "n_out"), PEER_CASES)
def test_pytorch_agrees(buffers, dtype, name, numbers, output, n_out):
    torch = pytest.importorskip("torch")
    arrays = buffers(name, numbers, n_out)
    z, y = as_tensors(torch, arrays, n_out)
    cost = peer_loss(torch, name, z, y, numbers)
    cost.backward()
    run(name, arrays, numbers, 1.0, 1 / 12, output, n_out, 0, 12)
    # As against the twin
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(arrays[0].mean(), cost.item(), rtol=60 * eps, atol=100 * eps)
    np.testing.assert_allclose(arrays[2][:, :n_out], z.grad.numpy(), rtol=60 * eps, atol=60 * eps / 12)


@pytest.mark.parametrize(
    ("name", "numbers", "function", "options"),
    [
        ("poisson", [], "mean_poisson_deviance", {}),
        ("gamma", [], "mean_gamma_deviance", {}),
        ("tweedie", [1.3], "mean_tweedie_deviance", {"power": 1.3}),
        ("quantile", [0.8], "mean_pinball_loss", {"alpha": 0.8}),
    ],
)
def test_scikit_learn_agrees(buffers, dtype, name, numbers, function, options):
    metrics = pytest.importorskip("sklearn.metrics")
    arrays = buffers(name, numbers, 1)
    a, y = arrays[3][:, 0].astype(np.float64), arrays[4][:, 0]
    run(name, arrays, numbers, 1.0, 1.0, IDENTITY, 1, 0, 12)
    a, factor = (a, 1) if name == "quantile" else (np.exp(a), 0.5)
    ref = factor * getattr(metrics, function)(y, a, **options)
    # As against the twin
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(arrays[0].mean(), ref, rtol=60 * eps, atol=100 * eps)


def test_without_compilation(run_python, dtype):
    code = f"import json, reference_hooks; print(json.dumps(reference_hooks.run_everything({dtype.name!r})))"
    done = run_python(code, NUMBA_DISABLE_JIT="1")
    assert done.stderr == ""
    comp, ref = json.loads(done.stdout), reference_hooks.run_everything(dtype.name)
    assert comp.keys() == ref.keys()
    eps = np.finfo(dtype).eps
    for name, figures in ref.items():
        # As against the twin
        np.testing.assert_allclose(comp[name], figures, rtol=60 * eps, atol=100 * eps, err_msg=name)


@pytest.mark.skipif(WIDTH_BYTES < 64, reason="looks for the names of 512-bit registers")
@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("log_cosh", []),
        ("poisson", []),
        ("gamma", []),
        ("tweedie", [1.5]),
        ("binary_cross_entropy", [0.1]),
        ("binary_focal", [2.0, 0.25]),
    ],
)
def test_vectorised(buffers, name, numbers):
    compiled = numba.njit(getattr(losses, name).py_func, error_model="numpy")  # one that can be listed
    arrays = buffers(name, numbers, 3, np.float32)
    compiled(*arrays, np.array(numbers, np.float64), 1.0, 1.0, IDENTITY, 3, 0, 12)
    assembly = "\n".join(compiled.inspect_asm().values())
    # A function that is called, not inlined, would work on single numbers.
    assert re.search(r"vfmadd\w+ps\s.*%[yz]mm", assembly)
    assert not re.search(r"\$(exp|expm1|log|log1p|tanh)f?,", assembly)
