"""Sources: rows in memory and streamed ones, in their order."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from data.streams.examples import make_rows, make_trainer

from fastnn.data import ArrayStream
from fastnn.training.sources import InMemory, Source, Streamed, open_sources
from training.examples import make_blobs_trainer


def test_validation_fraction_is_held_out_and_stratified(blobs):
    trainer = make_blobs_trainer()
    history = trainer.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert trainer.n_rows == 300
    assert history.epochs[0].val_cost is not None
    again = make_blobs_trainer()
    again.fit(*blobs, epochs=2, validation_fraction=0.25, verbose=0)
    assert np.array_equal(trainer.net.params, again.net.params)


@pytest.mark.parametrize("kind", [InMemory, Streamed])
def test_both_kinds_are_sources(kind):
    methods = {name for name in vars(Source) if not name.startswith("_")}
    attributes = {name for name in Source.__annotations__ if not name.startswith("_")}
    assert {"blocks", "next_block", "start", "counters", "spread"} <= methods
    source = open_source(kind)
    public = {name for name in dir(source) if not name.startswith("_")}
    assert public == methods | attributes
    for name in methods:
        method = getattr(Source, name)
        if inspect.isfunction(method):
            parameters = inspect.signature(method).parameters
            assert inspect.signature(getattr(kind, name)).parameters == parameters, name
        else:
            assert isinstance(vars(kind)[name], property), name


def open_source(kind, n_rows=100, **options):
    x, y = make_rows(n_rows)
    trainer = make_trainer(**options)
    architecture, settings = trainer.net.compiled_network.architecture, trainer.settings
    given = x if kind is InMemory else ArrayStream(x, y, block_rows=32)
    targets = y if kind is InMemory else None
    rng = np.random.default_rng(0)
    core = SimpleNamespace(
        network=SimpleNamespace(architecture=architecture), settings=settings, state=SimpleNamespace(rng=rng)
    )
    source, held_out = open_sources(core, (given, targets, None), None, None)
    assert type(source) is kind
    assert held_out is None
    return source


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", [InMemory, Streamed])
def test_an_epoch_has_every_row_once_and_goes_on_from_its_counters(kind, shuffle):
    """A second source, given what the first has told, gives the rest of the same rows."""
    first, second = open_source(kind, shuffle=shuffle), open_source(kind, shuffle=shuffle)
    rng = np.random.default_rng(1)
    first.start(0, 2, rng)
    ref, n_done = [], 0
    while n_done < first.n_rows:
        rows = first.next_block(n_done, rng)
        assert n_done == first.begin
        ref.append(rows.pick(rows.x).copy())
        n_done += rows.n
        if len(ref) == 1 and kind is Streamed:
            first.end_block()
            second.counters = first.counters
            for name, array in first.arrays().items():
                second.arrays()[name][:] = array
            second.start(0, 2, None)
            continue
        first.end_block()
    first.close()
    x = np.concatenate(ref)
    given = make_rows(100)[0]
    np.testing.assert_array_equal(np.sort(x, axis=0), np.sort(given, axis=0))
    assert (x == given).all() != shuffle
    if kind is Streamed:
        rest, n_done = [], second.begin
        while n_done < second.n_rows:
            rows = second.next_block(n_done, rng)
            rest.append(rows.pick(rows.x).copy())
            n_done += rows.n
            second.end_block()
        second.close()
        np.testing.assert_array_equal(np.concatenate(rest), np.concatenate(ref[1:]))


@pytest.mark.parametrize("kind", [InMemory, Streamed])
def test_blocks_to_score_are_in_the_order_given(kind):
    source = open_source(kind)
    x, y = make_rows(100)
    for _ in range(2):
        np.testing.assert_array_equal(np.concatenate([rows.pick(rows.x) for rows in source.blocks()]), x)
        np.testing.assert_array_equal(np.concatenate([rows.answers for rows in source.blocks()])[:, 0], y)


def test_a_fingerprint_is_of_the_content_and_not_of_the_order():
    source, same = open_source(InMemory), open_source(InMemory, shuffle=True)
    rng = np.random.default_rng(0)
    same.next_block(0, rng)
    assert (same.rows.data.indices != source.rows.data.indices).any()
    assert same.fingerprint() == source.fingerprint() != open_source(InMemory, 99).fingerprint()
