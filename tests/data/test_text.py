"""Texts from files and folders, and their encoder: its twin is scikit-learn's own vectorizer."""

import json

import numpy as np
import pytest

import fastnn
from fastnn.data import TextEncoder, encoder_from_dict, read_text

pytest.importorskip("sklearn")

TEXTS = [
    "The cat sat on the mat, and the cat slept.",
    "A dog barks at the cat",
    "dogs bark; the DOG sleeps",
    "Ünïcode wörds and the mat",
    "x",
]


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))
    return path


@pytest.fixture
def reviews(tmp_path):
    """Folders as IMDB's reviews come in, with what else lies there."""
    for part in ("train", "test"):
        for label, word in (("pos", "good"), ("neg", "bad")):
            for i in range(4):
                write(tmp_path / "reviews" / part / label / f"{i}_7.txt", f"a {word} film, {part} {i}")
        write(tmp_path / "reviews" / part / f"urls_{part}.txt", "http://")
    write(tmp_path / "reviews" / "train" / "unsup" / "0.txt", "whatever")
    write(tmp_path / "reviews" / "README", "About these reviews")
    return tmp_path / "reviews"


def test_folders(reviews):
    data = read_text(reviews)
    assert (data.name, data.kind, data.target) == ("reviews", "text", "label")
    assert list(data.y) == ["neg"] * 4 + ["pos"] * 4
    assert data.rows[0] == "a bad film, train 0"
    assert len(data.test[0]) == 8
    assert data.test[0][-1] == "a good film, test 3"
    whole = read_text(reviews / "train")
    assert whole.rows == data.rows
    assert whole.test is None


def test_files_without_an_ending(tmp_path):
    """As 20 newsgroups has them, in Latin-1."""
    for part in ("train", "test"):
        for label in ("sci.med", "rec.autos"):
            write(tmp_path / f"news-bydate-{part}" / label / "59123", f"Grüße aus {label}", "latin-1")
    data = read_text(tmp_path)
    assert data.rows == ["Grüße aus rec.autos", "Grüße aus sci.med"]
    assert list(data.test[1]) == ["rec.autos", "sci.med"]


@pytest.mark.parametrize(
    "content",
    [
        "spam\tfree money\nham\tsee you\tat noon\n",
        "spam\tfree money\r\n\r\nham\tsee you\tat noon",
        "__label__spam free money\n__label__ham see you\tat noon\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_a_line(tmp_path, content, encoding):
    data = read_text(write(tmp_path / "mails.txt", content, encoding))
    assert data.name == "mails"
    assert data.rows == ["free money", "see you\tat noon"]
    assert list(data.y) == ["spam", "ham"]


def test_unlabelled(tmp_path, reviews):
    data = read_text(write(tmp_path / "new.txt", "one\n\nthree\u2028still three\n"), labelled=False)
    assert data.rows == ["one", "", "three\u2028still three"]
    assert data.y is None
    assert read_text(reviews / "test" / "neg", labelled=False).n == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty: expected one text per line"),
        ("\n \n", "empty: expected one text per line"),
        ("spam\tfree\nno tab here\n", "line 2 of .* has no tab: expected a label, a tab"),
        ("spam\tfree\n\nham\t \n", "line 3 of .* has an empty text"),
        ("\tfree\n", "line 1 of .* has an empty label"),
        ("__label__a x\nham y\n", "line 2 of .* does not begin with __label__"),
        ("__label__a __label__b x\n", "line 1 of .* has several labels"),
        ("__label__a x\n__label__a y\n", r"one class only \('a'\)"),
        ("a\tx\0\n", "is not text: it holds bytes that are 0"),
    ],
)
def test_bad_files(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_text(write(tmp_path / "data.txt", content))


def test_bad_folders(tmp_path, reviews):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_text(tmp_path / "none")
    with pytest.raises(ValueError, match="holds 4 texts but no folders"):
        read_text(reviews / "test" / "neg")
    write(reviews / "test" / "neg" / "9.txt", " \n")
    write(reviews / "test" / "pos" / "9.txt", "")
    with pytest.raises(ValueError, match=r"9\.txt' is empty \(2 such in all\)"):
        read_text(reviews)
    write(reviews / "test" / "neutral" / "1.txt", "a film")
    with pytest.raises(
        ValueError, match="has the class 'neutral', which the training rows do not have: neg, pos"
    ):
        read_text(reviews)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no texts"):
        read_text(tmp_path / "empty", labelled=False)


@pytest.mark.parametrize("options", [{}, {"ngrams": (1, 2)}, {"lower": False}, {"max_features": 3}])
@pytest.mark.parametrize("method", ["tfidf", "counts"])
def test_agrees_with_scikit_learn(method, options, dtype):
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

    encoder = TextEncoder(method, min_count=2, dtype=dtype, **options).fit(TEXTS)
    twin = (TfidfVectorizer if method == "tfidf" else CountVectorizer)(
        min_df=2,
        ngram_range=options.get("ngrams", (1, 1)),
        lowercase=options.get("lower", True),
        max_features=options.get("max_features"),
        dtype=dtype,
    )
    ref, comp = twin.fit_transform(TEXTS), encoder.transform(TEXTS)
    assert comp.dtype == dtype
    assert comp.shape == (5, len(encoder.feature_names))
    assert encoder.feature_names == list(twin.get_feature_names_out())
    np.testing.assert_allclose(comp.toarray(), ref.toarray(), rtol=1e-6)
    others = ["the cat and the mouse", "nothing known here", ""]
    np.testing.assert_allclose(
        encoder.transform(others).toarray(), twin.transform(others).toarray(), rtol=1e-6
    )


@pytest.mark.parametrize("method", ["tfidf", "counts", "bag"])
def test_rows_are_canonical(method):
    x = TextEncoder(method).fit(TEXTS).transform(TEXTS)
    assert x.format == "csr"
    assert x.dtype == np.float32
    assert x.indices.dtype == x.indptr.dtype == np.int32
    assert x.has_sorted_indices
    assert x.has_canonical_format


def test_bag_averages_embeddings():
    encoder = TextEncoder("bag", min_count=1).fit(["red green", "green blue"])
    x = encoder.transform(["green GREEN red white", "white", "blue"])
    np.testing.assert_allclose(x.toarray(), [[0, 2 / 3, 1 / 3], [0, 0, 0], [1, 0, 0]], rtol=1e-6)
    assert (encoder.unseen, encoder.n_empty) == (2, 1)
    vectors = np.array([[1.0, 2], [3, 4], [5, 9]])  # of blue, green, red
    np.testing.assert_allclose((x @ vectors)[0], vectors[[1, 1, 2]].mean(axis=0), rtol=1e-6)


def test_unseen_words_are_counted():
    encoder = TextEncoder(ngrams=(1, 2), min_count=1).fit(["red green blue"])
    encoder.transform(["red green", "green red", "grey"])
    assert encoder.unseen == 2  # "green red" and "grey"
    assert encoder.unseen_summary() == "Words unseen or rare in training: 2."
    assert encoder.n_empty == 1
    encoder.transform(["blue"])
    assert (encoder.unseen, encoder.n_empty) == (0, 0)


@pytest.mark.parametrize("method", ["tfidf", "counts", "bag"])
def test_round_trip_through_json(method):
    encoder = TextEncoder(method, ngrams=(1, 2), lower=False, max_features=9).fit(TEXTS)
    state = json.loads(json.dumps(encoder.to_dict()))
    again = encoder_from_dict(state)
    ref, comp = encoder.transform(TEXTS), again.transform(TEXTS)
    for name in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(ref, name), getattr(comp, name))
    assert again.to_dict() == state
    assert again.describe() == encoder.describe()
    assert again.describe()[0]["features"] == len(encoder.vocabulary)
    assert again.embeddings == {}


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("one text", TypeError, "got a single one"),
        ([], ValueError, "no texts"),
        (["a", None], TypeError, "row 1 must be a text, got None"),
        (["a text", 3.5], TypeError, "row 1 must be a text, got 3.5"),
        (["", " "], ValueError, "no word of two letters or more occurs in at least 2 of the 2 texts"),
        (["red green", "blue grey"], ValueError, "occurs in at least 2 of the 2 texts"),
        (["red red"], ValueError, "occurs in at least 2 of the 1 text:"),
    ],
)
def test_bad_rows(rows, error, message):
    with pytest.raises(error, match=message):
        TextEncoder().fit(rows)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"method": "tf-idf"}, ValueError, "Did you mean 'tfidf'"),
        ({"ngrams": 2}, TypeError, "ngrams must be a sequence of two integers, got 2"),
        ({"ngrams": (1, 2, 3)}, ValueError, "ngrams must be two numbers"),
        ({"ngrams": (2, 1)}, ValueError, "ngrams must be at least 2, got 1"),
        ({"min_count": 0}, ValueError, "min_count must be at least 1"),
        ({"max_features": 1.5}, TypeError, "max_features must be an integer"),
        ({"dtype": "int8"}, ValueError, "dtype must be"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        TextEncoder(**options)


@pytest.mark.parametrize("method", ["tfidf", "counts", "bag"])
def test_trains(tmp_path, rng, method):
    """Two topics share most of their words; a network that takes the sparse rows tells them apart."""
    lines = []
    for i in range(400):
        topic = ("sea", "hills")[i % 2]
        words = [f"{topic}{n}" for n in rng.integers(0, 30, 4)] + [f"word{n}" for n in rng.integers(0, 50, 8)]
        lines.append(f"{topic}\t{' '.join(rng.permutation(words))}")
    data = read_text(write(tmp_path / "topics.txt", "\n".join(lines)))
    classes, y = np.unique(data.y, return_inverse=True)
    encoder = TextEncoder(method).fit(data.rows[:300])
    x = encoder.transform(data.rows)
    net = fastnn.MLP([x.shape[1], 16, len(classes)], ["identity" if method == "bag" else "relu"], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", optimizer=fastnn.Adam(lr=0.01), seed=0)
    trainer.fit(x[:300], y[:300], epochs=30, verbose=0)
    assert (net.predict(x[300:]) == y[300:]).mean() > 0.95
