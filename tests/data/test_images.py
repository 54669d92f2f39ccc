"""Images from folders: what is found, decoded and refused, and their encoder."""

import json

import numpy as np
import pytest

import fastnn
from fastnn import _unpack
from fastnn.data import ImageEncoder, encoder_from_dict, read_images

pytest.importorskip("sklearn")
Image = pytest.importorskip("PIL.Image")


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def standardised(encoder, pixels):
    """What the encoder's formula makes of pixels from 0 to 1."""
    return (np.asarray(pixels, np.float64).reshape(len(pixels), -1) - encoder.mean) / encoder.scale


def decode(encoder, rows):
    """Pixels from 0 to 255 that an encoder saw."""
    x = encoder.transform(rows) * encoder.scale + encoder.mean
    channels = () if encoder.mode == "L" else (3,)
    return np.round(255 * x.reshape(len(x), *encoder.size, *channels)).astype(int)


@pytest.fixture
def shapes(tmp_path, rng):
    """A folder of noisy images, bright on the left or on the right."""
    for label in ("left", "right"):
        for i in range(60):
            pixels = rng.integers(0, 100, (12, 10), dtype="u1")
            half = slice(0, 5) if label == "left" else slice(5, 10)
            pixels[:, half] += 100
            save(tmp_path / "shapes" / label / f"{i:02}.png", pixels)
    return tmp_path / "shapes"


def test_a_folder_for_each_class(shapes):
    (shapes / "left" / ".hidden.png").write_bytes(b"")
    (shapes / "left" / "notes.txt").write_text("these are bright on the left")
    save(shapes / "right" / "more" / "deeper.GIF", np.zeros((12, 10), "u1"))
    (shapes / "__MACOSX").mkdir()
    data = read_images(shapes)
    assert (data.name, data.kind, data.target, data.test) == ("shapes", "images", "label", None)
    assert data.n == 121
    assert np.array_equal(np.unique(data.y, return_counts=True)[1], [60, 61])
    assert all(path.parts[-2] == label for path, label in zip(data.rows[:60], data.y[:60], strict=True))


@pytest.mark.parametrize(
    ("folders", "n_train", "n_test"),
    [
        (("train", "test"), 4, 4),
        (("Train", "Validation"), 4, 4),
        (("flowers-training", "flowers-testing"), 4, 4),
        (("train", "val", "test"), 8, 4),
    ],
)
def test_folders_that_say_how_they_are_split(tmp_path, folders, n_train, n_test):
    for folder in folders:
        for name in ("a/1.png", "a/2.png", "b/1.png", "b/2.png"):
            save(tmp_path / folder / name, np.zeros((2, 2), "u1"))
    data = read_images(tmp_path)
    assert data.n == len(data.y) == n_train
    assert len(data.test[0]) == len(data.test[1]) == n_test
    assert set(data.y) == set(data.test[1]) == {"a", "b"}
    assert all(folders[-1] in path.parts for path in data.test[0])


def test_classes_that_are_called_train_and_test(tmp_path):
    for name in ("train/1.png", "test/1.png", "plane/1.png"):
        save(tmp_path / name, np.zeros((2, 2), "u1"))
    data = read_images(tmp_path)
    assert list(data.y) == ["plane", "test", "train"]
    assert data.test is None


def test_unlabelled(shapes):
    data = read_images(shapes, labelled=False)
    assert data.n == 120
    assert data.y is None
    one = read_images(data.rows[0], labelled=False)
    assert one.rows == data.rows[:1]
    encoder = ImageEncoder().fit(data.rows)
    assert np.array_equal(encoder.transform(one.rows), encoder.transform(data.rows)[:1])


def test_pixels_are_those_of_the_files(rng, tmp_path, dtype):
    pixels = rng.integers(0, 256, (7, 6, 5), dtype="u1")
    paths = [save(tmp_path / f"{i}.png", image) for i, image in enumerate(pixels)]
    encoder = ImageEncoder(dtype=dtype).fit(paths)
    x = encoder.transform(paths)
    assert (encoder.size, encoder.mode, encoder.n_features) == ((6, 5), "L", 30)
    assert x.dtype == dtype
    assert encoder.mean == pytest.approx((pixels / 255).mean(), rel=1e-6)
    assert encoder.scale == pytest.approx((pixels / 255).std(), rel=1e-6)
    np.testing.assert_allclose(x, standardised(encoder, pixels / 255), atol=1e-5)
    in_memory = ImageEncoder(dtype=dtype).fit(pixels)
    np.testing.assert_allclose(in_memory.transform(pixels), x, atol=1e-6)
    assert encoder.feature_names[:6] == [*(f"pixel[0, {c}]" for c in range(5)), "pixel[1, 0]"]
    assert len(encoder.feature_names) == 30


@pytest.mark.parametrize(("images", "pixels"), [(10, 1 << 24), (2_000, 1200)])
def test_a_sample_is_enough_for_mean_and_scale(shapes, monkeypatch, images, pixels):
    from fastnn.data import images as home

    rows = read_images(shapes).rows
    whole = ImageEncoder().fit(rows)
    monkeypatch.setattr(home, "_SAMPLE", images)
    monkeypatch.setattr(home, "_SAMPLE_PIXELS", pixels)
    read = []
    monkeypatch.setattr(home._Files, "_read", lambda self, path, *_: read.append(path) or np.eye(12, 10))
    ImageEncoder().fit(rows)
    assert len(read) == 10
    monkeypatch.undo()
    monkeypatch.setattr(home, "_SAMPLE", 10)
    encoder = ImageEncoder().fit(rows)
    assert encoder.mean == pytest.approx(whole.mean, rel=0.05)
    assert encoder.scale == pytest.approx(whole.scale, rel=0.05)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
def test_formats(tmp_path, ending):
    colours = np.array([[200, 30, 40], [20, 180, 60]], "u1")
    pixels = np.repeat(np.repeat(colours[:, None, None], 8, axis=1), 8, axis=2)
    paths = [save(tmp_path / f"{i}.{ending}", image) for i, image in enumerate(pixels)]
    encoder = ImageEncoder().fit(paths)
    assert encoder.mode == "RGB"
    names = ["pixel[0, 0, red]", "pixel[0, 0, green]", "pixel[0, 0, blue]", "pixel[0, 1, red]"]
    assert encoder.feature_names[:4] == names
    assert np.abs(decode(encoder, paths) - pixels).max() <= (3 if ending in ("jpg", "webp") else 0)


def stored(kind, grey):
    """An 4 x 4 image of one grey, stored in a mode of Pillow's."""
    if kind == "I;16":
        return Image.fromarray(np.full((4, 4), grey * 257, "u2"))
    if kind == "F":
        return Image.fromarray(np.full((4, 4), grey / 255, "f4"))
    image = Image.new("L", (4, 4), grey)
    return image if kind == "L" else image.convert(kind)


@pytest.mark.parametrize("kind", ["1", "L", "LA", "RGB", "RGBA", "P", "I;16", "F", "CMYK"])
def test_grey_in_every_mode(tmp_path, kind):
    ending = "tiff" if kind in ("F", "CMYK") else "png"
    greys = (0, 255) if kind == "1" else (60, 200)
    paths = [save(tmp_path / f"{grey}.{ending}", stored(kind, grey)) for grey in greys]
    encoder = ImageEncoder().fit(paths)
    assert encoder.mode == "L"
    assert "all are grey" in encoder.describe()[0]["note"]
    assert np.array_equal(decode(encoder, paths)[:, 0, 0], greys)
    in_colour = ImageEncoder(mode="RGB").fit(paths)
    assert np.array_equal(decode(in_colour, paths)[:, 3, 3], [[grey] * 3 for grey in greys])


def test_16_bits_are_kept(tmp_path):
    pixels = np.arange(16, dtype="u2").reshape(4, 4) + 4000
    encoder = ImageEncoder().fit([save(tmp_path / "deep.png", pixels)])
    x = encoder.transform([tmp_path / "deep.png"])
    np.testing.assert_allclose(x, ImageEncoder().fit(pixels[None]).transform(pixels[None]), atol=1e-3)
    assert len(np.unique(x)) == 16


def test_exif_orientation(tmp_path):
    pixels = np.arange(24, dtype="u1").reshape(4, 6) * 10
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    path = save(tmp_path / "turned.png", pixels, exif=exif)
    encoder = ImageEncoder().fit([path])
    assert encoder.size == (6, 4)
    assert np.array_equal(decode(encoder, [path])[0], np.rot90(pixels, -1))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(tmp_path, mode):
    image = Image.new(mode, (2, 1), (0,) * (len(mode)))
    image.putpixel((1, 0), (*(0,) * (len(mode) - 1), 255))
    path = save(tmp_path / "clear.png", image)
    assert decode(ImageEncoder().fit([path]), [path]).tolist() == [[[255, 0]]]


def test_sizes(tmp_path, rng):
    paths = [save(tmp_path / f"{i}.png", np.full((200, 100 + i), 50 * i, "u1")) for i in range(4)]
    encoder = ImageEncoder().fit(paths)
    assert encoder.size == (64, 32)
    assert "4 different ones" in encoder.describe()[0]["note"]
    assert np.array_equal(decode(encoder, paths)[:, 5, 5], [0, 50, 100, 150])
    assert ImageEncoder().fit(paths[:1] * 2).size == (64, 32)  # of one size, but a large one
    assert ImageEncoder(size=9).fit(paths).size == (9, 9)
    assert ImageEncoder(size=(3, 4)).fit(paths).transform(paths).shape == (4, 12)
    small = [save(tmp_path / f"{i}.gif", np.full((4 + i, 20), 9, "u1")) for i in range(3)]
    assert ImageEncoder().fit(small).size == (5, 20)


def test_large_jpegs_are_read_small(tmp_path):
    """What the decoder leaves out before the antialiasing changes next to nothing."""
    r, c = np.mgrid[:1000, :800]
    image = np.stack([127 + 100 * np.sin(r / 90), 127 + 100 * np.cos(c / 70), (r + c) / 8], axis=2)
    path = save(tmp_path / "photo.jpg", image.astype("u1"), quality=95)
    encoder = ImageEncoder(size=(50, 40), mode="RGB").fit([path])
    ref = np.asarray(Image.open(path).resize((40, 50), Image.Resampling.BOX), int)
    assert np.abs(decode(encoder, [path])[0] - ref).max() < 12


def test_arrays_in_memory(rng):
    colour = rng.integers(0, 256, (9, 8, 6, 3), dtype="u1")
    encoder = ImageEncoder().fit(colour)
    assert (encoder.size, encoder.mode) == ((8, 6), "RGB")
    np.testing.assert_allclose(encoder.transform(colour), standardised(encoder, colour / 255), atol=1e-5)
    assert ImageEncoder(mode="L").fit(colour).transform(colour).shape == (9, 48)
    assert ImageEncoder().fit(np.repeat(colour[..., :1], 3, axis=3)).mode == "L"
    grey = ImageEncoder(size=4).fit(colour[..., 0] / 255.0)
    assert grey.transform(rng.random((5, 11, 7))).shape == (5, 16)
    assert np.array_equal(grey.transform(colour[..., :1]), grey.transform(colour[..., 0]))
    assert ImageEncoder(mode="RGB", size=4).fit(colour[..., 0]).transform(colour).shape == (9, 48)
    assert np.all(ImageEncoder().fit(np.zeros((2, 3, 3))).transform(np.zeros((2, 3, 3))) == 0)


def test_round_trip_through_json(shapes):
    rows = read_images(shapes).rows
    encoder = ImageEncoder().fit(rows)
    state = json.loads(json.dumps(encoder.to_dict()))
    assert state["kind"] == "images"
    assert state["size"] == [12, 10]
    assert state["mode"] == "L"
    again = encoder_from_dict(state)
    assert np.array_equal(again.transform(rows), encoder.transform(rows))
    assert again.describe() == encoder.describe()
    assert again.feature_names == encoder.feature_names
    assert again.embeddings == {}


def test_programs_of_postscript_are_not_run(tmp_path):
    path = tmp_path / "a.png"  # Pillow looks at the content, and starts Ghostscript for this one
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n")
    with pytest.raises(ValueError, match=r"a\.png' cannot be read: it is not an image"):
        ImageEncoder().fit([path])


def test_sizes_beyond_the_memory_are_refused():
    images = np.zeros((2, 8, 8))
    with pytest.raises(ValueError, match=r"size \(2147483647, 2147483647\) needs 16\.0 EiB for the pixels"):
        ImageEncoder(size=2**31 - 1).fit(images)
    encoder = ImageEncoder(size=8).fit(images)
    encoder.size = 2**31 - 1, 2**31 - 1
    with pytest.raises(ValueError, match=r"rows needs .* for their features"):
        encoder.transform(images)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_damaged_files(tmp_path, rng, ending):
    paths = [save(tmp_path / f"{i}.{ending}", rng.integers(0, 256, (64, 64), dtype="u1")) for i in range(9)]
    encoder = ImageEncoder().fit(paths)
    paths[4].write_bytes(paths[4].read_bytes()[:-200])
    paths[6].write_text("no image")
    message = rf"4\.{ending}' cannot be read: .*; remove or replace it \(2 of 9 files are damaged\)\.$"
    for call in (encoder.transform, ImageEncoder().fit, ImageEncoder(size=4, mode="L").fit):
        with pytest.raises(ValueError, match=message):
            call(paths)
    with pytest.raises(
        ValueError, match=rf"6\.{ending}' cannot be read: it is not an image; remove or replace it\.$"
    ):
        encoder.transform([str(paths[6])])
    with pytest.raises(ValueError, match=r"gone.png' cannot be read: .*No such file"):
        encoder.transform([paths[0], tmp_path / "gone.png"])


def test_nan_in_a_file(tmp_path):
    path = save(tmp_path / "a.tiff", np.full((3, 3), np.nan, "f4"))
    with pytest.raises(ValueError, match=r"a\.tiff' has pixels that are NaN"):
        ImageEncoder().fit([path])


def test_bad_folders(tmp_path, shapes):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read_images(tmp_path / "none")
    with pytest.raises(ValueError, match="holds no folders and no images: expected a folder for each class"):
        read_images(empty)
    with pytest.raises(ValueError, match=r"holds no images: expected \.bmp"):
        read_images(empty, labelled=False)
    with pytest.raises(ValueError, match="left' holds 60 images but no folders"):
        read_images(shapes / "left")
    with pytest.raises(ValueError, match="is a single image"):
        read_images(shapes / "left" / "00.png")
    (empty / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes.txt' is not an image"):
        read_images(empty / "notes.txt")
    (empty / "a").mkdir()
    (empty / "b").mkdir()
    with pytest.raises(ValueError, match=r"the folders in .* hold no images"):
        read_images(empty)
    save(empty / "a" / "1.png", np.zeros((2, 2), "u1"))
    with pytest.raises(ValueError, match="b' holds no images: fill or remove it"):
        read_images(empty)
    (empty / "b").rmdir()
    with pytest.raises(ValueError, match=r"one class only \('a'\): expected at least 2\.$"):
        read_images(empty)
    wrapped = shapes.rename(empty / "a" / "shapes").parent.parent
    with pytest.raises(ValueError, match=r"one class only .* Is it .*a' that you mean"):
        read_images(wrapped)


def test_a_class_that_only_the_test_folder_has(tmp_path):
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "test/c/1.png"):
        save(tmp_path / name, np.zeros((2, 2), "u1"))
    with pytest.raises(
        ValueError, match="test' has the class 'c', which the training rows do not have: a, b"
    ):
        read_images(tmp_path)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ("one.png", TypeError, "got the single path 'one.png'"),
        ([], ValueError, "no images"),
        (np.zeros((0, 3, 3)), ValueError, "no images"),
        (np.zeros((2, 0, 3)), ValueError, "no pixels in an array"),
        (np.zeros((3, 3)), ValueError, r"got shape \(3, 3\)"),
        (np.zeros((2, 3, 3, 4)), ValueError, r"got shape \(2, 3, 3, 4\)"),
        ([np.zeros((2, 2)), np.zeros((3, 3))], ValueError, "differ in shape"),
        (np.full((1, 2, 2), np.nan), ValueError, "image 0 has pixels that are NaN"),
        (np.array([[["a"]]]), ValueError, "must hold numbers"),
    ],
)
def test_bad_rows(rows, error, message):
    with pytest.raises(error, match=message):
        ImageEncoder().fit(rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (1, 2, 3)}, r"size must be a number or \(height, width\)"),
        ({"size": 0}, "size must be at least 1"),
        ({"mode": "rgb"}, "mode must be one of L, RGB"),
        ({"dtype": "int8"}, "dtype must be"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(**options)


def test_trains(shapes):
    data = read_images(shapes)
    classes, y = np.unique(data.y, return_inverse=True)
    encoder = ImageEncoder().fit(data.rows)
    x = encoder.transform(data.rows)
    net = fastnn.MLP([encoder.n_features, 8, len(classes)], seed=0)
    trainer = fastnn.Trainer(net, loss="cross_entropy", seed=0)
    history = trainer.fit(x, y, epochs=30, validation_fraction=0.25, verbose=0)
    assert history.epochs[-1].val_metric > 0.95


def test_an_image_that_unpacks_to_too_much(tmp_path, monkeypatch):
    Image.new("L", (2000, 2000)).save(tmp_path / "blank.png")
    assert ImageEncoder(size=2).fit([tmp_path / "blank.png"]).mode == "L"
    monkeypatch.setattr(_unpack, "_ALWAYS_ALLOWED", 1 << 20)
    monkeypatch.setattr(_unpack, "_LARGEST_RATIO", 10)
    with pytest.raises(ValueError, match=r"blank.png' cannot be read: .* unpacks to more than 1 MiB"):
        ImageEncoder(size=2).fit([tmp_path / "blank.png"])
