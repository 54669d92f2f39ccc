"""State: what a trainer is pickled with, and goes on with."""

import math
import pickle

import pytest

import fastnn
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
