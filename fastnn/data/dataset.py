"""Raw rows with what is to be predicted of them, and what turns them into vectors."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

# Where the encoder of each kind of rows is.
_ENCODERS = {
    "array": ("arrays", "ArrayEncoder"),
    "table": ("tables.encoder", "TableEncoder"),
    "text": ("text", "TextEncoder"),
    "images": ("images", "ImageEncoder"),
}


@dataclass
class Dataset:
    """Raw rows as they were read, neither split nor encoded.

    Attributes
    ----------
    name : str
        Fit for a file's name.
    kind : {"array", "table", "text", "images"}
    rows : ndarray, pandas.DataFrame or list
        Arrays have shape (n, ...); tables lack the target; text is a list of str; images are an array or a
        list of paths.
    y : ndarray of shape (n,) or (n, n_out), or None
        What is to be predicted, as it was read: labels of any kind, or numbers. None where that is not known.
    target : str
        What y is called.
    test : tuple (rows, y) or None
        Rows to test with, where the source itself says which.
    feature_names : list of str or None
        Of an array's features, where they have names.

    Examples
    --------
    >>> Dataset("xor", "array", np.eye(2), np.array([0, 1])).n
    2
    """

    name: str
    kind: str
    rows: Any
    y: Any
    target: str = "y"
    test: tuple[Any, np.ndarray] | None = None
    feature_names: list[str] | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows)


def name_of(path: Path) -> str:
    """What a data set is called that comes from a file or folder: fit for a file's name.

    Examples
    --------
    >>> name_of(Path("data/flowers.csv.gz"))
    'flowers'
    """
    path = path.resolve()
    return (path.name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem) or "data"


def take(rows: Any, indices: np.ndarray) -> Any:
    """Some of the rows, of the kind that came.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if hasattr(rows, "iloc"):
        return rows.iloc[indices]
    return [rows[i] for i in indices] if isinstance(rows, list) else rows[indices]


class Encoder(Protocol):
    """Learns from training rows how raw rows become vectors, and can be written down as JSON.

    Attributes
    ----------
    kind : str
        Of the rows, as in :class:`Dataset`.
    """

    kind: ClassVar[str]

    @property
    def feature_names(self) -> list[str]:
        """One a feature."""
        ...

    @property
    def embeddings(self) -> dict[int, tuple[int, int]]:
        """What :class:`fastnn.MLP` takes under that name: features that are numbers of categories."""
        ...

    def fit(self, rows: Any) -> Encoder:
        """Learn from rows to train on."""
        ...

    def transform(self, rows: Any) -> Any:
        """Vectors of rows: C-contiguous (n, n_features), or CSR."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """What was decided: a dict for each column or, if there are none, for the whole.

        Its entries are "column", "kind", "encoding", "features" (how many) and "note".
        """
        ...

    def to_dict(self) -> dict[str, Any]:
        """All that was learnt, as JSON can hold it; its entry "kind" is the encoder's."""
        ...

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Encoder:
        """The encoder that :meth:`to_dict` wrote down."""
        ...


def encoder_from_dict(state: dict[str, Any]) -> Encoder:
    """The encoder that was written down by its ``to_dict``, of whatever kind.

    Raises
    ------
    ValueError
        If it is none.
    """
    kind = state.get("kind")
    if kind not in _ENCODERS:
        raise ValueError(f"its encoder is of kind {kind!r}: expected one of {', '.join(_ENCODERS)}.")
    home, name = _ENCODERS[kind]
    return getattr(importlib.import_module(f".{home}", __package__), name).from_dict(state)
