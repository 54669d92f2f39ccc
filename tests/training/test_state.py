"""State: what a trainer is pickled with, and goes on with."""

import copy
import json
import math
import pickle

import numpy as np
import pytest

import fastnn
from fastnn.network.layout import ALIGN_BYTES
from training.examples import (
    assert_same_parameters,
    make_two_class_trainer,
    make_whole_batch_trainer,
)


@pytest.mark.parametrize(
    ("lr", "error"), [(-1.0, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("1", TypeError)]
)
def test_bad_lr(lr, error):
    trainer = make_two_class_trainer()
    with pytest.raises(error, match="lr must"):
        trainer.lr = lr
    assert trainer.lr == 0.01


@pytest.mark.parametrize("optimizer", ["adam", fastnn.NAdam(lr=0.01, weight_decay=0.1)])
def test_pickled_between_two_calls(three_classes, optimizer):
    """Addresses of kernels stay behind; all that was learnt goes along."""
    options = {"optimizer": optimizer, "batch_size": 16, "shuffle": True, "accumulate": 2, "clip_norm": 1.0}
    net = fastnn.MLP([4, 7, 3], "mish", dropout=0.1, norm="batch", seed=0)
    trainer = make_whole_batch_trainer(net, loss=fastnn.Loss("focal"), max_norm=1.0, **options)
    trainer.fit(*three_classes, epochs=3, verbose=0)
    copied = pickle.loads(pickle.dumps(trainer))
    for each in (trainer, copied):
        each.fit(*three_classes, epochs=3, verbose=0)
    assert_same_parameters(copied, trainer)
    assert copied.history.to_dict()["cost"] == trainer.history.to_dict()["cost"]


def test_a_pickle_holds_no_address(three_classes, run_python, tmp_path):
    """Another process would call into the void."""
    trainer = make_whole_batch_trainer(
        fastnn.MLP([4, 7, 3], "mish", seed=0), loss=fastnn.Loss("focal"), optimizer="lion"
    )
    trainer.fit(*three_classes, epochs=1, verbose=0)
    (tmp_path / "trainer").write_bytes(pickle.dumps([trainer, *three_classes]))
    trainer.fit(*three_classes, epochs=1, verbose=0)
    code = f"""
import pickle
trainer, x, y = pickle.load(open({str(tmp_path / "trainer")!r}, "rb"))
print(trainer.fit(x, y, epochs=1, verbose=0).epochs[-1].cost.hex())
"""
    assert run_python(code).stdout == trainer.history.epochs[-1].cost.hex() + "\n"


@pytest.mark.parametrize("average", [None, fastnn.EMA(0.9), fastnn.SWA(2)], ids=repr)
@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy])
def test_pickled_again_and_again_it_goes_on_with_the_same_bits(three_classes, average, copied):
    options = {"optimizer": "nadam", "average": average, "schedule": "inverse_scaling", "batch_size": 16}

    def make():
        net = fastnn.MLP([4, 7, 3], "tanh", dropout=0.1, input_dropout=0.1, norm="batch", seed=0)
        return make_whole_batch_trainer(net, shuffle=True, accumulate=2, **options)

    ref, comp = make(), make()
    for epochs in (2, 1, 3):
        comp = copied(comp)
        for each in (ref, comp):
            each.fit(*three_classes, epochs=epochs, validation_data=three_classes, verbose=0)
        assert_same_parameters(comp, ref)
        for name in ("m", "v", "full_grad", "shadow"):  # those of the network have padding of their own
            array = ref.state.arrays()[name]
            np.testing.assert_array_equal(comp.state.arrays()[name], array, name)
        assert comp.state.to_json()["rng"] == ref.state.to_json()["rng"]
        for name in ("cost", "val_cost", "lr"):
            assert comp.history.to_dict()[name] == ref.history.to_dict()[name]


def test_what_was_unpickled_is_aligned_and_one(three_classes):
    trainer = make_whole_batch_trainer(optimizer="adam", average=fastnn.EMA(0.9), clip_norm=1.0)
    trainer.fit(*three_classes, epochs=1, verbose=0)
    comp = pickle.loads(pickle.dumps(trainer))
    arrays = comp.state.arrays()
    assert {name for name, array in arrays.items() if array.size} == {
        "m",
        "v",
        "full_grad",
        "params",
        "shadow",
    }
    for name, array in arrays.items():
        assert array.ctypes.data % ALIGN_BYTES == 0 or array.size == 0, name
    assert comp.net.params is arrays["params"]
    assert comp.core.update.m is arrays["m"]
    assert comp.core.update.full_grad is arrays["full_grad"]
    assert comp.core.state is comp.state
    assert comp.core.network is comp.state.network is comp.net.compiled_network


def test_state_survives_json(three_classes):
    trainers = [make_whole_batch_trainer(batch_size=16, shuffle=True, schedule="adaptive") for _ in range(2)]
    trainer, other = trainers
    trainer.fit(*three_classes, epochs=3, verbose=0)
    trainer.stop("enough")
    other.state.restore(json.loads(json.dumps(trainer.state.to_json())))
    assert other.state.to_json() == trainer.state.to_json()
