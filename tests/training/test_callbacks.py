"""Callbacks: who is told what, and who asks for batches."""

import pytest

from fastnn.history import Epoch
from fastnn.training.callbacks import Batch, Callback, CallbackList, as_callback, wants_batches

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
