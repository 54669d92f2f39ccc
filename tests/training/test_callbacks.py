"""Callbacks: who is told what, and who asks for batches."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn.history import Epoch, History
from fastnn.training.callbacks import Batch, Callback, CallbackList, TrainerLike, as_callback, wants_batches
from fastnn.training.settings import Settings
from training.examples import make_whole_batch_trainer

EPOCH = Epoch(1, 0.5, 0.75, None, None, 0.1, 1000.0)
BATCH = Batch(epoch=1, step=3, n_rows=32, cost=0.7, lr=0.01)
EVENTS = {
    "on_fit_begin": (),
    "on_epoch_begin": (),
    "on_batch_end": (BATCH,),
    "on_epoch_end": (EPOCH,),
    "on_fit_end": (),
}


class Recorder(Callback):
    """Writes down every event with its arguments."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def on_fit_begin(self, *args):
        self.log.append((self.name, "on_fit_begin", *args))

    def on_epoch_begin(self, *args):
        self.log.append((self.name, "on_epoch_begin", *args))

    def on_batch_end(self, *args):
        self.log.append((self.name, "on_batch_end", *args))

    def on_epoch_end(self, *args):
        self.log.append((self.name, "on_epoch_end", *args))

    def on_fit_end(self, *args):
        self.log.append((self.name, "on_fit_end", *args))


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_reaches_all_in_order(event):
    log, trainer = [], object()
    callbacks = CallbackList([Recorder("a", log), Callback(), Recorder("b", log)])
    getattr(callbacks, event)(trainer, *EVENTS[event])
    assert log == [(name, event, trainer, *EVENTS[event]) for name in "ab"]


def test_a_function_is_told_of_epochs():
    log, trainer = [], object()

    def note(*args):
        log.append(args)

    for callbacks in (CallbackList(note), CallbackList([note]), CallbackList(f for f in [note])):
        log.clear()
        for event, args in EVENTS.items():
            getattr(callbacks, event)(trainer, *args)
        assert log == [(trainer, EPOCH)]
    assert not CallbackList(note).wants_batches


def test_one_callback_needs_no_list():
    callback = Callback()
    assert CallbackList(callback).callbacks == [callback]
    assert CallbackList().callbacks == CallbackList(None).callbacks == []


def test_a_list_within_a_list_is_flat():
    inner = CallbackList([Callback(), Callback()])
    outer = CallbackList([Callback(), inner])
    assert outer.callbacks[1:] == inner.callbacks == CallbackList(inner).callbacks
    assert not outer.wants_batches


def test_who_asks_for_batches():
    assigned = Callback()
    assigned.on_batch_end = lambda trainer, batch: None
    for asking in (Recorder("a", []), assigned, CallbackList([Recorder("a", [])])):
        assert wants_batches([Callback(), asking])
        assert CallbackList([Callback(), asking]).wants_batches
    inherited = type("Inherited", (Recorder,), {})("a", [])
    assert wants_batches([inherited])
    assert not wants_batches([Callback(), as_callback(print)])
    assert not wants_batches([])
    assert not CallbackList().wants_batches


def test_all_are_told_of_the_end_though_one_raises():
    class Raises(Callback):
        def on_fit_end(self, trainer):
            raise OSError("disk full")

    log = []
    with pytest.raises(OSError, match="disk full"):
        CallbackList([Recorder("a", log), Raises(), Recorder("b", log)]).on_fit_end("trainer")
    assert [entry[0] for entry in log] == ["a", "b"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Callback, r"a callback must be an object, got the class Callback: use Callback\(\.\.\.\)"),
        (3, r"a callback must be a fastnn.Callback or a function f\(trainer, epoch\), got 3"),
        ("print", "a callback must be a fastnn.Callback"),
    ],
)
def test_what_is_refused(spec, message):
    with pytest.raises(TypeError, match=message):
        CallbackList(spec)
    with pytest.raises(TypeError, match=message):
        CallbackList([Callback(), spec])


def test_a_trainer_is_what_callbacks_expect():
    """TrainerLike names what they may rely on; whatever is missing would only show in a user's callback."""
    trainer = make_whole_batch_trainer()
    members = {name for name in vars(TrainerLike) if not name.startswith("_")}
    members |= TrainerLike.__annotations__.keys()
    assert members == {"net", "settings", "lr", "history", "n_rows", "stop", "averaged", "gradient"}
    for name in members:
        assert hasattr(trainer, name), name
        declared = inspect.getattr_static(TrainerLike, name, None)
        if inspect.isfunction(declared):
            ours = inspect.signature(getattr(fastnn.Trainer, name)).parameters
            assert ours == inspect.signature(declared).parameters, name
    assert isinstance(trainer.net, fastnn.MLP)
    assert isinstance(trainer.settings, Settings)
    assert isinstance(trainer.history, History)
    trainer.lr = 0.5
    assert trainer.lr == 0.5
    for name in ("history", "n_rows"):  # to be read only
        with pytest.raises(AttributeError):
            setattr(trainer, name, None)


class UsesAll(Callback):
    """Read all that may be read, in every event."""

    def __init__(self, x, y):
        self.x, self.y, self.n_epochs = x, y, []

    def use(self, trainer, *_):
        _, weights, biases = trainer.gradient(self.x, self.y, sample_weight=np.ones(60))
        assert [w.shape for w in weights] == [w.shape for w in trainer.net.weights]
        assert len(biases) == 2
        with trainer.averaged():
            trainer.net.predict(self.x)
        assert trainer.n_rows == 60
        assert trainer.lr == trainer.settings.optimizer.lr
        self.n_epochs.append(len(trainer.history))

    on_fit_begin = on_epoch_begin = on_batch_end = on_epoch_end = on_fit_end = use


@pytest.mark.parametrize(
    "options",
    [{}, {"batch_size": 16, "accumulate": 3}, {"average": fastnn.EMA(0.9), "clip_norm": 0.1}],
    ids=str,
)
def test_all_that_they_may_use_changes_nothing_in_any_event(three_classes, options):
    used, ref = (make_whole_batch_trainer(**options) for _ in range(2))
    callback = UsesAll(*three_classes)
    used.fit(*three_classes, epochs=2, callbacks=callback, verbose=0)
    ref.fit(*three_classes, epochs=2, verbose=0)
    n_batches = 4 if "batch_size" in options else 1
    assert callback.n_epochs == [0] * (2 + n_batches) + [1] * (2 + n_batches) + [2, 2]
    np.testing.assert_array_equal(used.net.params, ref.net.params)


def test_a_gradient_of_the_average_changes_nothing(three_classes):
    def look(trainer, epoch):
        with trainer.averaged():
            trainer.gradient(*three_classes)

    used, ref = (make_whole_batch_trainer(average=fastnn.EMA(0.9)) for _ in range(2))
    used.fit(*three_classes, epochs=3, callbacks=look, verbose=0)
    ref.fit(*three_classes, epochs=3, verbose=0)
    np.testing.assert_array_equal(used.net.params, ref.net.params)
