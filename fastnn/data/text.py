"""Texts from files, and their encoder, which weighs words into sparse rows."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from .. import _checks
from .._fields import Dtype, Positive, Size, read_fields
from .dataset import Dataset, name_of
from .folders import find_files, find_path, read_classes

METHODS = ("tfidf", "counts", "bag")
SUFFIXES = ("", ".text", ".txt")

_FIELDS = {
    "kind": Literal["text"],
    "dtype": Dtype,
    "method": Literal["tfidf", "counts", "bag"],
    "ngrams": tuple[Size, Size],
    "max_features": Size | None,
    "min_count": Size,
    "lower": bool,
    "vocabulary": list[str],
    "idf": list[Positive] | None,
}

_FASTTEXT = "__label__"
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_text(source: str | Path, *, labelled: bool = True) -> Dataset:
    r"""Read texts and their labels.

    Parameters
    ----------
    source : str or path
        - A folder with a folder for each class, with a ``.txt`` file (or one without an ending) for each
          text, as 20 newsgroups and IMDB come. If it holds a folder "train" and one "test" or "val" with
          the folders of the classes, they say which rows are test rows.
        - A file with one text per line, after its label and a tab or, in fastText's format, after
          ``__label__`` and the label; "-" for the standard input.

        Files are UTF-8, UTF-16 with its byte order mark, or else taken for Latin-1.
    labelled : bool, default=True
        If False, every line of a file is a text, empty ones too, or every file in a folder and below it:
        rows to predict.

    Returns
    -------
    Dataset
        Data set of kind "text"; rows are a list of str.

    Raises
    ------
    ValueError
        If there are no texts, a text is empty, a line has no label, or there is one class only.
    FileNotFoundError
        If there is no such file or folder.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "mails.txt")
    ...     _ = path.write_text("spam\tMoney for you\nham\tSee you at noon\n")
    ...     data = read_text(path)
    >>> print(data.rows, data.y)
    ['Money for you', 'See you at noon'] ['spam' 'ham']
    """
    labelled = _checks.check_flag("labelled", labelled)
    path = Path("-") if str(source) == "-" else find_path(source)
    if path.is_dir():
        if not labelled:
            files = find_files(path, SUFFIXES)
            if not files:
                raise ValueError(f"{str(path)!r} holds no texts: expected {', '.join(SUFFIXES[1:])}.")
            return Dataset(name_of(path), "text", [_read_file(file) for file in files], None)
        files, labels, part = read_classes(path, SUFFIXES, "texts")
        test = None if part is None else (_read_files(part[0]), part[1])
        return Dataset(name_of(path), "text", _read_files(files), labels, "label", test)
    lines = [line.rstrip("\r") for line in _read_file(path).split("\n")]
    if not lines[-1]:
        lines.pop()  # after the end of the last line
    if not any(line.strip() for line in lines):
        raise ValueError(f"{str(path)!r} is empty: expected one text per line.")
    if not labelled:
        return Dataset(name_of(path), "text", lines, None)
    pairs = list(_split_lines(path, lines))
    y, rows = np.array([label for label, _ in pairs]), [text for _, text in pairs]
    if len(set(y)) < 2:
        raise ValueError(f"{str(path)!r} has one class only ({str(y[0])!r}): expected at least 2.")
    return Dataset(name_of(path), "text", rows, y, "label")


def _read_file(path: Path) -> str:
    content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content:
        raise ValueError(f"{str(path)!r} is not text: it holds bytes that are 0.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _read_files(paths: Sequence[Path]) -> list[str]:
    texts = [_read_file(path) for path in paths]
    empty = [path for path, text in zip(paths, texts, strict=True) if not text.strip()]
    if empty:
        raise ValueError(f"{str(empty[0])!r} is empty ({len(empty)} such in all): fill or remove it.")
    return texts


def _split_lines(path: Path, lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield label and text of every line that is not blank."""
    is_fasttext = next(line for line in lines if line.strip()).startswith(_FASTTEXT)
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number} of {str(path)!r}"
        if is_fasttext:
            if not line.startswith(_FASTTEXT):
                raise ValueError(f"{where} does not begin with {_FASTTEXT}, as the first one does.")
            first, _, text = line.partition(" ")
            label = first.removeprefix(_FASTTEXT)
            if text.startswith(_FASTTEXT):
                raise ValueError(f"{where} has several labels: expected one.")
        else:
            label, tab, text = line.partition("\t")
            if not tab:
                raise ValueError(
                    f"{where} has no tab: expected a label, a tab and the text, or {_FASTTEXT}x and the text."
                )
        if not label.strip() or not text.strip():
            raise ValueError(f"{where} has an empty {'text' if label.strip() else 'label'}.")
        yield label.strip(), text.strip()


class TextEncoder:
    """Counts and weighs the words of texts, by scikit-learn; every text becomes a sparse row.

    Parameters
    ----------
    method : {"tfidf", "counts", "bag"}, default="tfidf"
        - "tfidf": counts times how rare a word is, ``log((1 + n) / (1 + n_with_word)) + 1``, each text
          scaled to length 1 (Salton & Buckley, 1988);
        - "counts": how often each word occurs;
        - "bag": counts by their sum over the text's known words. The first layer of a network, with the
          identity as its activation, is then an embedding of words, averaged (Joulin et al., 2016:
          fastText).
    ngrams : (int, int), default=(1, 1)
        Least and greatest number of neighbouring words that make a term.
    max_features : int or None, default=50_000
        Number of terms to keep, the most frequent ones.
    min_count : int, default=2
        Keep terms that occur in at least this many texts.
    lower : bool, default=True
        Convert texts to lower case.
    dtype : {"float32", "float64"}, default="float32"
        Data type of the vectors.

    Attributes
    ----------
    vocabulary : list of str
        One a feature, sorted.
    idf : ndarray of shape (n_features,) or None
        How rare each term is, for "tfidf".
    unseen : int
        Number of terms in the last transform that are not in the vocabulary.
    n_empty : int
        Number of its texts that have no term of the vocabulary: their rows are empty.
    feature_names : list of str
        The vocabulary.
    embeddings : dict
        Empty: no feature is a code of a category.

    Examples
    --------
    >>> encoder = TextEncoder("bag", min_count=1).fit(["red green", "green blue"])
    >>> x = encoder.transform(["Green, green, red and grey"])
    >>> print(encoder.vocabulary, x.toarray(), encoder.unseen)
    ['blue', 'green', 'red'] [[0.         0.6666667  0.33333334]] 2
    """

    kind: ClassVar[str] = "text"

    def __init__(
        self,
        method: str = "tfidf",
        *,
        ngrams: Sequence[int] = (1, 1),
        max_features: int | None = 50_000,
        min_count: int = 2,
        lower: bool = True,
        dtype: DTypeLike = "float32",
    ) -> None:
        self.method = _checks.check_name("method", method, METHODS)
        ends = _checks.check_items("ngrams", ngrams, "two integers")
        if len(ends) != 2:
            raise ValueError(
                f"ngrams must be two numbers, the least and the greatest, got {_checks.shown(ngrams)}."
            )
        least = _checks.check_count("ngrams", ends[0])
        self.ngrams = (least, _checks.check_count("ngrams", ends[1], least))
        self.max_features = _checks.check_optional_count("max_features", max_features)
        self.min_count = _checks.check_count("min_count", min_count)
        self.lower = _checks.check_flag("lower", lower)
        self.dtype = _checks.check_dtype(dtype)
        self.embeddings: dict[int, tuple[int, int]] = {}
        self.unseen = self.n_empty = 0

    def fit(self, rows: Any) -> TextEncoder:
        """Learn the words, and how rare each of them is.

        Parameters
        ----------
        rows : list of str

        Returns
        -------
        TextEncoder
            Itself.

        Raises
        ------
        ValueError
            If no word occurs often enough.
        TypeError
            If rows are not texts.
        ImportError
            If scikit-learn is not installed.
        """
        rows = _check_texts(rows)
        if not rows:
            raise ValueError("there are no texts: expected at least one.")
        vectorizer = self._vectorizer(max_features=self.max_features, min_df=min(self.min_count, len(rows)))
        try:
            if self.min_count > len(rows):
                raise ValueError
            vectorizer.fit(rows)
        except ValueError as error:  # scikit-learn's: no terms, or none that is frequent enough
            size = f"{len(rows)} text{'s' * (len(rows) > 1)}"
            raise ValueError(
                f"no word of two letters or more occurs in at least {self.min_count} of the {size}: expected "
                "longer texts, more of them, or a smaller min_count."
            ) from error
        self.vocabulary = [str(term) for term in vectorizer.get_feature_names_out()]
        self.idf = np.asarray(vectorizer.idf_, np.float64) if self.method == "tfidf" else None
        return self

    def transform(self, rows: Any) -> Any:
        """Encode texts as vectors.

        Parameters
        ----------
        rows : list of str

        Returns
        -------
        scipy.sparse.csr_matrix of shape (n, n_features)
            With sorted int32 indices. Rows of texts without a known word are empty.

        Raises
        ------
        TypeError
            If rows are not texts.
        """
        rows = _check_texts(rows)
        analyse = self._vectorizer().build_analyzer()
        n_terms = 0

        def count(text: str) -> list[str]:
            nonlocal n_terms
            terms = analyse(text)
            n_terms += len(terms)
            return terms

        sklearn = _checks.require("sklearn.feature_extraction.text", "sklearn")
        counter = sklearn.CountVectorizer(analyzer=count, vocabulary=self.vocabulary, dtype=self.dtype)
        x = counter.transform(rows)
        self.unseen = n_terms - int(x.sum(dtype=np.float64))
        x.sort_indices()
        x.indices, x.indptr = x.indices.astype(np.int32, copy=False), x.indptr.astype(np.int32, copy=False)
        self.n_empty = int(np.sum(np.diff(x.indptr) == 0))
        if self.method != "counts" and rows:
            normalize = _checks.require("sklearn.preprocessing", "sklearn").normalize
            if self.idf is not None:
                x.data *= self.idf[x.indices].astype(self.dtype)
            normalize(x, norm="l2" if self.method == "tfidf" else "l1", copy=False)
        return x

    def _vectorizer(self, **options: Any) -> Any:
        sklearn = _checks.require("sklearn.feature_extraction.text", "sklearn")
        vectorizer = sklearn.TfidfVectorizer if self.method == "tfidf" else sklearn.CountVectorizer
        return vectorizer(ngram_range=self.ngrams, lowercase=self.lower, **options)

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature."""
        return self.vocabulary

    def describe(self) -> list[dict[str, Any]]:
        """Describe what was decided, for the texts as a whole."""
        least, greatest = self.ngrams
        terms = "words" if greatest == 1 else f"terms of {least} to {greatest} words"
        how = {
            "tfidf": "counts, weighted by how rare a term is (TF-IDF)",
            "counts": "counts",
            "bag": "shares of the text: the first layer averages embeddings",
        }
        most = f", at most {self.max_features:,}" if self.max_features else ""
        return [
            {
                "column": "text",
                "kind": "text",
                "encoding": how[self.method],
                "features": self.n_features,
                "note": f"{terms} that occur in at least {self.min_count} texts{most}",
            }
        ]

    def unseen_summary(self) -> str:
        """Say how many words of the last transform training had not seen; "" if none."""
        return f"Words unseen or rare in training: {self.unseen:,}." if self.unseen else ""

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "kind": self.kind,
            "dtype": self.dtype.name,
            "method": self.method,
            "ngrams": list(self.ngrams),
            "max_features": self.max_features,
            "min_count": self.min_count,
            "lower": self.lower,
            "vocabulary": self.vocabulary,
            "idf": None if self.idf is None else self.idf.tolist(),
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> TextEncoder:
        """Make the encoder that :meth:`to_dict` described."""
        state = read_fields(state, _FIELDS, "encoder")
        names = ("method", "ngrams", "max_features", "min_count", "lower", "dtype")
        encoder = cls(**{name: state[name] for name in names})
        encoder.vocabulary = state["vocabulary"]
        encoder.idf = None if state["idf"] is None else np.asarray(state["idf"], np.float64)
        if len(set(encoder.vocabulary)) < encoder.n_features:
            raise ValueError("encoder.vocabulary names a term twice.")
        if (encoder.idf is not None) != (encoder.method == "tfidf"):
            raise ValueError("encoder.idf must be a list for the method tfidf, and null for others.")
        if encoder.idf is not None and encoder.idf.size != encoder.n_features:
            raise ValueError("encoder.idf must have an entry for each term of the vocabulary.")
        return encoder

    @property
    def n_features(self) -> int:
        """Number of features: of terms in the vocabulary."""
        return len(self.vocabulary)


def _check_texts(rows: Any) -> list[str]:
    if isinstance(rows, (str, bytes)):
        raise TypeError("rows must be a list of texts, got a single one: put it into a list.")
    rows = _checks.check_items("rows", rows, "texts")
    for i, row in enumerate(rows):
        if not isinstance(row, str):
            raise TypeError(f"row {i} must be a text, got {_checks.shown(row)}.")
    return rows
