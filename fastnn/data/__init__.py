"""Data into vectors: reading files, splitting them, and encoding their rows.

A source is read into a :class:`Dataset` of raw rows. They are split, an encoder learns from the training rows
what it needs (medians, categories, vocabularies), and turns any rows into what a network takes. Names are
imported when they are first used, so that pandas and scikit-learn are only loaded where they are needed.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "Dataset": "dataset",
    "Encoder": "dataset",
    "encoder_from_dict": "dataset",
    "name_of": "dataset",
    "take": "dataset",
    "ArrayEncoder": "arrays",
    "ArrayStream": "stream_arrays",
    "Stream": "stream",
    "TableStream": "stream_tables",
    "BUILT_IN": "arrays",
    "TASKS": "target",
    "read_dataset": "tables",
    "read_table": "table_files",
    "leaks": "tables",
    "TableEncoder": "tables",
    "Target": "target",
    "guess_task": "target",
    "Split": "split",
    "split_rows": "split",
    "read_arrays": "arrays",
    "ImageEncoder": "images",
    "read_images": "images",
    "TextEncoder": "text",
    "read_text": "text",
    "read_source": "sources",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'fastnn.data' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
