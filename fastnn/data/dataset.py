"""Raw rows with their target, and the interface of what turns them into vectors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from .._unpack import SUFFIXES

_PACKED = (*SUFFIXES, ".zip", ".tar")  # endings that may follow that of the file


@dataclass
class Dataset:
    """Raw rows as they were read, neither split nor encoded.

    Attributes
    ----------
    name : str
        Fit for a file's name.
    kind : {"array", "images", "text", "table"}
    rows : ndarray, pandas.DataFrame or list
        Arrays have shape (n, ...); tables lack the target; text is a list of str; images are an array or a
        list of paths.
    y : ndarray of shape (n,) or (n, n_out), or None
        The target as it was read: labels of any kind, or numbers. None where it is not known.
    target : str
        Name of the target.
    test : tuple (rows, y) or None
        Test rows, if the source itself defines them.
    feature_names : list of str or None
        Names of an array's features, if they have any.
    notes : list of str
        Sentences on how the source was read, for the user.

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
    notes: list[str] = field(default_factory=list)

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.rows)


def name_of(path: Path) -> str:
    """Name a data set after its file or folder, fit for a file's name.

    Examples
    --------
    >>> name_of(Path("data/flowers.csv.gz"))
    'flowers'
    """
    path = path.resolve()
    if path.is_dir():
        return path.name or "data"
    name = path.name
    while Path(name).suffix.lower() in _PACKED:
        name = Path(name).stem
    return Path(name).stem or "data"


def take(rows: Any, indices: np.ndarray) -> Any:
    """Return some of the rows: a list, a data frame or an array, as `rows` is one.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if hasattr(rows, "iloc"):
        return rows.iloc[indices]
    return [rows[i] for i in indices] if isinstance(rows, list) else rows[indices]


class Encoder(Protocol):
    """Learns from training rows how raw rows become vectors, and can be saved as JSON.

    Attributes
    ----------
    kind : str
        Kind of the rows, as in :class:`Dataset`.
    """

    kind: ClassVar[str]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature."""
        ...

    @property
    def n_features(self) -> int:
        """Number of features."""
        ...

    @property
    def embeddings(self) -> dict[int, tuple[int, int]]:
        """The argument `embeddings` of :class:`fastnn.MLP`: features that are codes of categories."""
        ...

    def fit(self, rows: Any) -> Encoder:
        """Learn from training rows."""
        ...

    def transform(self, rows: Any) -> Any:
        """Encode rows as vectors: C-contiguous (n, n_features), or CSR."""
        ...

    def describe(self) -> list[dict[str, Any]]:
        """Describe what was decided: a dict for each column or, if there are none, for the whole.

        Its entries are "column", "kind", "encoding", "features" (how many) and "note".
        """
        ...

    def unseen_summary(self) -> str:
        """Say which values of the last transform training had not seen, or could not be read; "" if none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON; its entry "kind" is the encoder's."""
        ...

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Encoder:
        """Make the encoder that :meth:`to_dict` described."""
        ...
