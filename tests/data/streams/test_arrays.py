"""Streams of arrays: encoders, weights, storing."""

from __future__ import annotations

import numpy as np

from fastnn.data import ArrayStream


def test_encoders_weights_and_what_is_stored(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (300, 4, 3), dtype=np.uint8)
    numbers_of = images[:, 0, 0] // 128
    stream = ArrayStream(
        images,
        numbers_of,
        sample_weight=np.arange(300),
        encoder=lambda rows: rows.reshape(len(rows), -1) / np.float32(255),
    )
    assert stream.n_features == 12
    x, y, weight = stream.load()
    np.testing.assert_array_equal(x, images.reshape(300, 12) / np.float32(255))
    np.testing.assert_array_equal(weight, np.arange(300))
    plain = ArrayStream(images, numbers_of)
    np.testing.assert_array_equal(plain.load()[0], images.reshape(300, 12).astype("f4"))
    assert plain.encoded(stream.encoder).n_features == 12
    stored = stream.store(tmp_path / "made")
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["weight.npy", "x.npy", "y.npy"]
    x_stored, y_stored, weight_stored = stored.load()
    order = weight_stored.astype(int)
    assert (order != np.arange(300)).any()
    np.testing.assert_array_equal(x_stored, x[order])
    np.testing.assert_array_equal(y_stored, y[order])
