"""Settings: arguments are checked one by one and together, before anything changes."""

import dataclasses
import inspect
import json
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import EarlyStopping
from fastnn.training.settings import Settings
from training.examples import make_blobs_trainer, make_whole_batch_trainer


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"loss": "cross_entrop"}, ValueError, "Did you mean 'cross_entropy'"),
        ({"optimizer": "adm"}, ValueError, "radam, lion, lbfgs, got 'adm'. Did you mean 'adam'"),
        ({"optimizer": 3}, TypeError, "optimizer must be one of"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": 1.5}, TypeError, "batch_size must be an integer"),
        ({"l2": -1.0}, ValueError, r"l2 must lie in \[0, inf\), got -1"),
        ({"n_threads": 0}, ValueError, "n_threads"),
        ({"loss": "cross_entropy", "sizes": (2, 1)}, ValueError, "binary_cross_entropy"),
    ],
)
def test_bad_trainer(options, error, message):
    with pytest.raises(error, match=message):
        make_blobs_trainer(**options)


@pytest.mark.parametrize(
    ("make_optimizer", "message"),
    [
        (lambda: fastnn.Adam(lr=0), r"lr must lie in \(0, inf\)"),
        (lambda: fastnn.Adam(lr=float("nan")), "lr must lie"),
        (lambda: fastnn.Adam(beta1=1.0), r"beta1 must lie in \[0, 1\)"),
        (lambda: fastnn.SGD(momentum=-0.1), "momentum must lie"),
        (lambda: fastnn.SGD(nesterov=True), "nesterov needs a momentum"),
        (lambda: EarlyStopping(patience=0), "patience must be at least 1"),
    ],
)
def test_bad_settings(make_optimizer, message):
    with pytest.raises(ValueError, match=message):
        make_optimizer()


def test_loss_and_output_must_agree():
    for output, loss in (("tanh", "cross_entropy"), ("softmax", "mse"), ("softmax", "binary_cross_entropy")):
        with pytest.raises(ValueError, match="output"):
            fastnn.Trainer(fastnn.MLP([2, 3], output=output, seed=0), loss=loss)
    with pytest.raises(TypeError, match=r"must be a fastnn\.MLP, got list"):
        fastnn.Trainer([2, 3], loss="mse")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"l1": -1}, ValueError, r"l1 must lie in \[0, inf\)"),
        ({"l1": "1"}, TypeError, "l1 must be a number"),
        ({"clip_value": 0}, ValueError, r"clip_value must lie in \(0, inf\)"),
        ({"clip_norm": -1}, ValueError, "clip_norm must lie"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm must lie"),
        ({"max_norm": 0.0}, ValueError, "max_norm must lie"),
        ({"accumulate": 0}, ValueError, "accumulate must be at least 1"),
        ({"rate_factors": {2: 0.5}}, ValueError, "key 2: expected .* or a layer from -2 to 1"),
        ({"rate_factors": {"biases": 0.5}}, ValueError, "key 'biases'"),
        ({"rate_factors": {0: -1}}, ValueError, r"rate_factors\[0\] must lie"),
        ({"rate_factors": [1, 0]}, TypeError, "rate_factors must be a dict"),
        ({"schedule": "cosin"}, ValueError, "Did you mean 'cosine'"),
        ({"schedule": 0.1}, TypeError, "schedule must be one of"),
        ({"loss": fastnn.Loss("quantile", levels=[0.1, 0.9])}, ValueError, "2 levels, .* 3 outputs"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        make_whole_batch_trainer(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_weight": "balance"}, ValueError, "Did you mean 'balanced'"),
        ({"class_weight": {3: 1.0}}, ValueError, "names class 3, but the classes are 0 to 2"),
        ({"class_weight": {-1: 1.0}}, ValueError, "a class of class_weight must be at least 0"),
        ({"class_weight": {"a": 1.0}}, TypeError, "a class of class_weight must be an integer"),
        ({"class_weight": {0: -1.0}}, ValueError, r"class_weight\[0\] must lie"),
        ({"class_weight": [1, 2, 3]}, TypeError, "class_weight must be 'balanced' or a dict"),
        (
            {"class_weight": "balanced", "loss": "mse"},
            ValueError,
            "needs one class per row, but loss 'mse' has other targets",
        ),
        ({"class_weight": {0: 1}, "loss": "binary_cross_entropy"}, ValueError, "needs one class per row"),
    ],
)
def test_bad_class_weights(options, error, message):
    with pytest.raises(error, match=message):
        make_whole_batch_trainer(**options)


# --- what they are ----------------------------------------------------------------------------------

WRONG = {
    "loss": "nonsense",
    "optimizer": "nonsense",
    "schedule": "nonsense",
    "batch_size": 0,
    "l1": -1.0,
    "l2": -1.0,
    "clip_value": 0.0,
    "clip_norm": 0.0,
    "accumulate": 0,
    "max_norm": 0.0,
    "rate_factors": {"nonsense": 1},
    "average": "nonsense",
    "class_weight": "nonsense",
    "lazy": True,  # with an optimiser that cannot be
    "seed": -1,
    "n_threads": 0,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_constructor_that_raises_changes_nothing(name):
    net = fastnn.MLP([4, 7, 3], "tanh", seed=0)
    before = pickle.dumps(net)
    options = {"loss": "cross_entropy", name: WRONG[name]}
    if name == "lazy":
        options["max_norm"] = 1.0
    with pytest.raises((TypeError, ValueError)):
        fastnn.Trainer(net, **options)
    assert net.output is None
    assert pickle.dumps(net) == before
    fastnn.Trainer(net, loss="mse")
    assert net.output == "identity"


def test_every_argument_is_tried():
    arguments = inspect.signature(fastnn.Trainer).parameters.keys() - {"net", "shuffle"}
    assert arguments == WRONG.keys()


def test_settings_are_the_arguments_and_frozen():
    arguments = [name for name in inspect.signature(fastnn.Trainer).parameters if name not in ("net", "seed")]
    assert [field.name for field in dataclasses.fields(Settings)] == arguments
    settings = make_whole_batch_trainer().settings
    for name in arguments:
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(settings, name, None)


def test_dicts_that_were_given_may_change():
    factors, weights = {0: 0.5}, {0: 2.0}
    settings = make_whole_batch_trainer(rate_factors=factors, class_weight=weights).settings
    factors[1], weights[1] = 0.0, 0.0
    assert (settings.rate_factors, settings.class_weight) == ({0: 0.5}, {0: 2.0})


def own_loss(a, y):
    return (a - y) ** 2


def every_setting(**options):
    settings = {
        "loss": fastnn.Loss("cross_entropy", label_smoothing=0.1),
        "optimizer": fastnn.NAdam(lr=np.float32(0.5)),
        "schedule": lambda epoch, lr: lr,
        "batch_size": np.int64(7),
        "l1": np.float32(0.5),
        "rate_factors": {0: 0.5, "bias": 2},
        "average": fastnn.EMA(0.5),
        "class_weight": {0: 2.0},
        "n_threads": 1,
    }
    return make_whole_batch_trainer(**settings | options).settings


def test_they_are_described_as_json():
    facts = every_setting().describe()
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert list(facts) == [field.name for field in dataclasses.fields(Settings)]
    assert (facts["batch_size"], facts["l1"], facts["shuffle"], facts["lazy"]) == (7, 0.5, False, False)
    assert facts["average"] == "EMA(decay=0.5)"
    assert facts["n_threads"] == 1


def test_a_digest_tells_trainings_apart_and_nothing_else():
    def make():  # functions of other addresses each time
        def schedule(epoch, lr):
            return lr / 2

        return schedule

    first, second = make(), make()
    assert repr(first) != repr(second)
    ref = every_setting(schedule=first).digest()
    assert every_setting(schedule=second, n_threads=None).digest() == ref
    assert "0x" not in json.dumps(ref)
    for options in ({"l1": 0.25}, {"shuffle": True}, {"rate_factors": {}}, {"average": None}, {"lazy": True}):
        changed = every_setting(schedule=first, **options).digest()
        assert {name for name in ref if changed[name] != ref[name]} == options.keys()


@pytest.mark.parametrize("option", [{"loss": own_loss, "class_weight": None}, {"schedule": lambda e, lr: lr}])
def test_a_digest_holds_no_address(option):
    assert "0x" not in json.dumps(every_setting(**option).digest())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"accumulate": 10**30}, ValueError, "accumulate must be at most 2147483647"),
        ({"batch_size": 2**31}, ValueError, "batch_size must be at most 2147483647"),
        ({"l2": 10**400}, ValueError, r"l2 must lie in \[0, inf\), got an integer of 1329 bits"),
        ({"seed": "one"}, TypeError, "seed must be an integer or a numpy.random.Generator, got 'one'"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"rate_factors": {"embeddings": 0.5}}, ValueError, "but the network embeds no columns"),
        ({"rate_factors": {10**5000: 1.0}}, ValueError, "has the key an integer of 16610 bits"),
        ({"class_weight": {2**70: 1.0}}, ValueError, "a class of class_weight must be at most"),
    ],
)
def test_values_beyond_a_machine(options, error, message):
    net = fastnn.MLP([4, 3], seed=0)
    with pytest.raises(error, match=message):
        fastnn.Trainer(net, loss="cross_entropy", **options)
    assert net.output is None
