"""Tables that several test files use, and what they do with encoders."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastnn.data import TableEncoder, encoder_from_dict

pd = pytest.importorskip("pandas")


N = 200


WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "some",
    "lazy",
    "dog",
    "near",
    "old",
    "river",
    "bank",
]


def people(n=N, seed=0):
    """A table with a column of each kind."""
    rng = np.random.default_rng(seed)
    jobs = [f"job {i}" for i in range(60)]
    return pd.DataFrame(
        {
            "id": [f"p-{seed}-{i:05d}" for i in range(n)],
            "row": np.arange(n) + 17,
            "age": rng.integers(18, 90, n),
            "income": np.where(rng.random(n) < 0.1, np.nan, rng.lognormal(10, 1, n)),
            "height": [f" {h:.1f}" if h > 1.6 else "N/A" for h in rng.normal(1.75, 0.1, n)],
            "member": rng.random(n) < 0.4,
            "city": rng.choice(["Rome", "Bern", None], n),
            "job": rng.choice(jobs, n),
            "joined": (pd.Timestamp("2019-03-01") + pd.to_timedelta(rng.integers(0, 900, n), "D")).strftime(
                "%Y-%m-%d"
            ),
            "seen": pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 10**7, n), "s"),
            "note": [" ".join(rng.choice(WORDS, 6)) for _ in range(n)],
            "empty": [None] * n,
            "same": ["x"] * n,
        }
    )


def without_text(**options):
    return TableEncoder(columns={"note": "ignore"}, **options)


def column(encoder, name):
    return next(c for c in encoder.to_dict()["columns"] if c["name"] == name)


def dense(x):
    return x.toarray() if hasattr(x, "toarray") else x


def again(encoder):
    """Through its JSON."""
    return encoder_from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))


CSV = "age,city,price\n31,Bern,1.5\n54,Rome,\n8,Bern,2\n"


def check_people(frame):
    assert list(frame.columns) == ["age", "city", "price"]
    assert frame["age"].tolist() == [31, 54, 8]
    assert frame["city"].tolist() == ["Bern", "Rome", "Bern"]
    np.testing.assert_array_equal(frame["price"].to_numpy(np.float64), [1.5, np.nan, 2])
