"""Reading, splitting and encoding data.

A source is read into a :class:`Dataset` of raw rows. They are split; an encoder learns what it needs
(medians, categories, vocabularies) from the training rows, and turns any rows into vectors for a network.
Names are imported when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._lazy import lazy_names

if TYPE_CHECKING:
    from ..evaluation import TASKS as TASKS
    from .arrays import BUILT_IN as BUILT_IN
    from .arrays import ArrayEncoder as ArrayEncoder
    from .arrays import read_arrays as read_arrays
    from .dataset import Dataset as Dataset
    from .dataset import Encoder as Encoder
    from .dataset import name_of as name_of
    from .dataset import take as take
    from .images import ImageEncoder as ImageEncoder
    from .images import read_images as read_images
    from .kinds import encoder_from_dict as encoder_from_dict
    from .kinds import read_source as read_source
    from .split import Split as Split
    from .split import split_rows as split_rows
    from .streams.arrays import ArrayStream as ArrayStream
    from .streams.stream import Stream as Stream
    from .streams.tables import TableStream as TableStream
    from .tables.description import describe_table as describe_table
    from .tables.encoder import TableEncoder as TableEncoder
    from .tables.files import read_table as read_table
    from .tables.leaks import leaks as leaks
    from .tables.reading import Reading as Reading
    from .tables.target_column import read_dataset as read_dataset
    from .target import Target as Target
    from .target import guess_task as guess_task
    from .text import TextEncoder as TextEncoder
    from .text import read_text as read_text

_HOMES = {
    "Dataset": "dataset",
    "Encoder": "dataset",
    "encoder_from_dict": "kinds",
    "name_of": "dataset",
    "take": "dataset",
    "ArrayEncoder": "arrays",
    "ArrayStream": "streams.arrays",
    "Stream": "streams.stream",
    "TableStream": "streams.tables",
    "BUILT_IN": "arrays",
    "TASKS": ".evaluation",
    "read_dataset": "tables.target_column",
    "read_table": "tables.files",
    "describe_table": "tables.description",
    "leaks": "tables.leaks",
    "Reading": "tables.reading",
    "TableEncoder": "tables.encoder",
    "Target": "target",
    "guess_task": "target",
    "Split": "split",
    "split_rows": "split",
    "read_arrays": "arrays",
    "ImageEncoder": "images",
    "read_images": "images",
    "TextEncoder": "text",
    "read_text": "text",
    "read_source": "kinds",
}
__all__ = [*_HOMES]
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
