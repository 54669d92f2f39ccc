"""Architecture: what is checked, and its JSON."""

import dataclasses
import json

import numpy as np
import pytest

import fastnn
from fastnn.network.architecture import Architecture
from network.networks import KEPT


def test_residual_for_all_leaves_out_what_cannot_have_it():
    assert fastnn.MLP([4, 4, 4, 5, 5, 2], residual=True).residual == (False, True, False, True)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([4],), ValueError, "at least inputs and outputs"),
        (([4, -1],), ValueError, r"sizes\[1\] must be at least 1, got -1"),
        (([4, 0, 2],), ValueError, r"sizes\[1\] must be at least 1, got 0"),
        (([4, 2.5],), TypeError, r"sizes\[1\] must be an integer, got 2.5"),
        (([4, True],), TypeError, "integer"),
        ((7,), TypeError, "sequence of integers"),
        (([4] * 10_002,), ValueError, "sizes names 10,001 layers, expected at most 10,000"),
        (([4, 3, 2], "rleu"), ValueError, "exp, got 'rleu'. Did you mean 'relu'"),
        (([4, 3, 2], ["relu", "tanh"]), ValueError, "activation has 2 entries, but the network has 1 hidden"),
    ],
)
def test_bad_architecture(arguments, error, message):
    with pytest.raises(error, match=message):
        fastnn.MLP(*arguments)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"output": "sofmax"}, "Did you mean 'softmax'"),
        ({"init": "ones"}, "glorot_uniform"),
        ({"init": [np.zeros((4, 3)), np.zeros((3, 3))]}, r"shapes \[\(4, 3\), \(3, 3\)\]"),
        ({"dropout": 1.0}, "dropout must"),
        ({"dropout": [0.1, 0.2]}, "dropout has 2 entries"),
        ({"input_dropout": -0.1}, "input_dropout must"),
        ({"norm": "bach"}, "Did you mean 'batch'"),
        ({"norm": [None, None]}, "norm has 2 entries"),
        ({"residual": [True]}, "has 4 inputs and 3 outputs"),
        ({"dtype": "float16"}, "float32 or float64, got 'float16'"),
        ({"dtype": "nonsense"}, "float32 or float64"),
    ],
)
def test_bad_option(option, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP([4, 3, 2], **option)


# --- JSON -------------------------------------------------------------------------------------------

ALL_KINDS = KEPT | {
    "embeddings": {"embeddings": {2: (6, 3), 0: (3, 2)}, "norm": "layer", "residual": [False, True, True]},
    "float64": {"dtype": "float64", "init": "zeros"},
    "numpy numbers": {"dropout": np.float32(0.25), "embeddings": {np.int64(1): (np.int64(4), 2)}},
}


@pytest.fixture(params=ALL_KINDS.values(), ids=ALL_KINDS)
def architecture(request):
    return fastnn.MLP([6, 9, 9, 9, 4], **request.param, seed=0).compiled_network.architecture


def test_json_round_trip(architecture):
    text = json.dumps(architecture.to_json(), allow_nan=False)
    comp = Architecture.from_json(json.loads(text))
    assert comp == architecture
    assert repr(comp) == repr(architecture)
    assert comp.init == architecture.init
    assert json.dumps(comp.to_json()) == text
    for field in dataclasses.fields(Architecture):
        assert type(getattr(comp, field.name)) is type(getattr(architecture, field.name)), field.name
    assert comp.make_layout().named_shapes() == architecture.make_layout().named_shapes()


def test_json_holds_every_field(architecture):
    names = {"activation" if f.name == "activations" else f.name for f in dataclasses.fields(Architecture)}
    assert architecture.to_json().keys() == names
    for name in names:
        state = json.loads(json.dumps(architecture.to_json()))
        del state[name]
        with pytest.raises(ValueError, match=f"lacks the entry '{name}'"):
            Architecture.from_json(state)


def test_it_is_frozen(architecture):
    for field in dataclasses.fields(Architecture):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(architecture, field.name, None)


def test_arrays_that_were_given_as_weights_are_not_written():
    given = [np.ones((3, 4)), np.ones((4, 2))]
    architecture = fastnn.MLP([3, 4, 2], init=given).compiled_network.architecture
    comp = Architecture.from_json(json.loads(json.dumps(architecture.to_json())))
    assert comp.init is None
    assert comp == architecture


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ([2**63, 1], r"^sizes\[0\] must be at most 2147483647, got 9223372036854775808\.$"),
        (
            [2**31 - 1, 2**31 - 1],
            r"^MLP\(\[2147483647, 2147483647\]\) needs 16\.0 EiB for its weights, but this",
        ),
        ([10**5000, 1], r"^sizes\[0\] must be at most 2147483647, got an integer of 16610 bits\.$"),
    ],
)
def test_networks_beyond_the_memory_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        fastnn.MLP(sizes)


def test_tables_of_embeddings_count():
    with pytest.raises(ValueError, match=r"MLP\(\[2, 1\]\) needs .* PiB for its weights"):
        fastnn.MLP([2, 1], embeddings={0: (2**24, 2**30)})
