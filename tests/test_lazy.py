"""Names that are imported when they are first used."""

import sys

import pytest

import fastnn
from fastnn._lazy import lazy_names


def test_a_name_is_imported_once_and_then_an_attribute(monkeypatch):
    monkeypatch.delitem(fastnn.__dict__, "Adam", raising=False)
    get_name, list_names = lazy_names("fastnn", {"Adam": "optimizers"})
    adam = get_name("Adam")
    assert adam is sys.modules["fastnn.optimizers"].Adam
    assert fastnn.__dict__["Adam"] is adam
    assert list_names() == sorted(fastnn.__all__)


def test_an_unknown_name():
    get_name, _ = lazy_names("fastnn", {})
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'Adam'"):
        get_name("Adam")
