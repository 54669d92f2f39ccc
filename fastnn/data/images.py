"""Images from folders, and their encoder, which resizes them and standardises pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from .. import _checks
from .._fields import Dtype, Positive, Size, read_fields
from .._memory import check_memory
from .._unpack import check_unpacked
from .dataset import Dataset, name_of
from .folders import find_files, find_path, read_classes

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")  # not PostScript, which would be run
MODES = {"L": 1, "RGB": 3}  # and their channels

_KEPT_SIDE = 128  # images of the same size keep it if no side is longer
_LONGEST_SIDE = 64  # of resized images
_SAMPLE = 2_000  # images, spread over all, for mean and scale; but
_SAMPLE_PIXELS = 1 << 24  # no more than hold this many pixels, 64 MiB
_GREY_MODES = ("1", "L", "LA", "La", "I", "F")  # and those that begin with "I;16"
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, Pillow's
_EXIF_ORIENTATION = 0x0112
_ON_ITS_SIDE = range(5, 9)

_FIELDS = {
    "kind": Literal["images"],
    "dtype": Dtype,
    "size": tuple[Size, Size],
    "mode": Literal["L", "RGB"],
    "mean": float,
    "scale": Positive,
    "reason": str,
}

T = TypeVar("T")


def read_images(source: str | Path, *, labelled: bool = True) -> Dataset:
    """Find images in a folder of folders, one a class.

    Parameters
    ----------
    source : str or path
        The folder. If it holds a folder "train" and one "test" or "val" with the folders of the classes,
        they say which rows are test rows. Files are png, jpg, gif (its first picture), bmp, webp and tiff;
        others, and hidden ones, are left out.
    labelled : bool, default=True
        If False, all images in the folder and below it, or a single one: rows to predict.

    Returns
    -------
    Dataset
        Data set of kind "images"; rows are a list of paths, none of which is opened yet.

    Raises
    ------
    ValueError
        If there are no images, no folders of classes, a class without images, or one class only.
    FileNotFoundError
        If there is no such file or folder.

    Examples
    --------
    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for label, grey in (("dark", 20), ("light", 200)):
    ...         Path(folder, label).mkdir()
    ...         Image.new("L", (8, 8), grey).save(Path(folder, label, "1.png"))
    ...     data = read_images(folder)
    ...     x = ImageEncoder().fit(data.rows).transform(data.rows)
    >>> print(data.y, x.shape, x[:, 0])
    ['dark' 'light'] (2, 64) [-1.  1.]
    """
    labelled = _checks.check_flag("labelled", labelled)
    path = find_path(source)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{str(path)!r} is not an image: expected {', '.join(SUFFIXES)}, or a folder.")
        if labelled:
            raise ValueError(f"{str(path)!r} is a single image: expected a folder with one for each class.")
        return Dataset(name_of(path), "images", [path], None)
    if labelled:
        files, labels, test = read_classes(path, SUFFIXES, "images")
        return Dataset(name_of(path), "images", files, labels, "label", test)
    files = find_files(path, SUFFIXES)
    if not files:
        raise ValueError(f"{str(path)!r} holds no images: expected {', '.join(SUFFIXES)}.")
    return Dataset(name_of(path), "images", files, None)


class ImageEncoder:
    """Encoder that resizes images, grey or colour, to one size and standardises their pixels.

    Pixels are scaled to [0, 1] (16 bits are kept), then standardised by the mean and the standard deviation
    of all pixels together. EXIF orientations are followed, transparent images laid on white, and images
    resized by Pillow's antialiased bilinear filter. Files are read by several threads.

    Parameters
    ----------
    size : int or (int, int), optional
        Height and width. By default that of the images if all have the same, of at most 128 pixels a side;
        otherwise the longer side has at most 64 pixels, and the aspect ratio is the median one.
    mode : {"L", "RGB"}, optional
        Grey or colour; by default grey if all images are grey.
    dtype : {"float32", "float64"}, default="float32"
        Data type of the vectors.

    Attributes
    ----------
    size : tuple (height, width)
    mode : {"L", "RGB"}
    mean, scale : float
        A vector is ``(pixels / 255 - mean) / scale``, the channels of a pixel side by side; found from at
        most 2,000 images, spread over the training rows.
    feature_names : list of str
    embeddings : dict
        Empty: no feature is a code of a category.

    Examples
    --------
    >>> images = np.zeros((2, 4, 4, 3), np.uint8)
    >>> images[1] = 255
    >>> encoder = ImageEncoder(size=2).fit(images)
    >>> encoder.transform(images).shape, encoder.mode
    ((2, 4), 'L')
    """

    kind: ClassVar[str] = "images"

    def __init__(
        self, size: int | Sequence[int] | None = None, mode: str | None = None, dtype: DTypeLike = "float32"
    ) -> None:
        self._given_size: tuple[int, int] | None = None
        if size is not None:
            sides = list(size) if _checks.is_collection(size) else [size, size]
            if len(sides) != 2:
                raise ValueError(f"size must be a number or (height, width), got {_checks.shown(size)}.")
            self._given_size = _checks.check_count("size", sides[0]), _checks.check_count("size", sides[1])
        self._given_mode = None if mode is None else _checks.check_name("mode", mode, MODES)
        self.dtype = _checks.check_dtype(dtype)
        self.embeddings: dict[int, tuple[int, int]] = {}

    def fit(self, rows: Any) -> ImageEncoder:
        """Decide on size and mode, and learn mean and scale of the pixels.

        Parameters
        ----------
        rows : list of paths, or array of shape (n, height, width) or (n, height, width, 3)
            Arrays hold bytes, 16-bit numbers, or any other numbers that grow with brightness.

        Returns
        -------
        ImageEncoder
            Itself.

        Raises
        ------
        ValueError
            If there are no images, or files cannot be read: the message names the first of them.
        ImportError
            If Pillow is not installed.
        """
        images = _images(rows)
        if len(images) == 0:
            raise ValueError("there are no images: expected at least one.")
        sizes, is_grey = images.survey()
        if self._given_size is not None:
            self.size = self._given_size
            reason = "as asked for"
        else:
            self.size, reason = _choose_size(sizes)
        if self._given_mode is not None:
            self.mode = self._given_mode
            self._reason = f"size {reason}"
        else:
            self.mode = "L" if is_grey else "RGB"
            self._reason = f"size {reason}; {'all are grey' if is_grey else 'not all are grey'}"
        n_sample = min(len(images), _SAMPLE, max(1, _SAMPLE_PIXELS // self.n_features))
        sample = np.linspace(0, len(images) - 1, n_sample).astype(int)
        check_memory(f"size {self.size}", 4 * n_sample * self.n_features, "the pixels of its images")
        pixels = np.empty((len(sample), self.n_features), np.float32)
        images.read_into(pixels, sample, self.size, self.mode, 0.0, 1.0)
        self.mean = float(pixels.mean(dtype=np.float64))
        self.scale = float(pixels.std(dtype=np.float64)) or 1.0
        return self

    def transform(self, rows: Any) -> np.ndarray:
        """Encode images as vectors.

        Parameters
        ----------
        rows : list of paths, or array of shape (n, height, width) or (n, height, width, 3)
            Images of any size; they are resized to that of :meth:`fit`.

        Returns
        -------
        ndarray of shape (n, height * width * channels)

        Raises
        ------
        ValueError
            If files cannot be read: the message names the first of them.
        """
        images = _images(rows)
        check_memory("rows", len(images) * self.n_features * self.dtype.itemsize, "their features")
        x = np.empty((len(images), self.n_features), self.dtype)
        images.read_into(x, np.arange(len(images)), self.size, self.mode, self.mean, self.scale)
        return x

    @property
    def n_features(self) -> int:
        """Number of features: height times width times channels."""
        return self.size[0] * self.size[1] * MODES[self.mode]

    @property
    def feature_names(self) -> list[str]:
        """The name of each feature."""
        colours = [""] if self.mode == "L" else [", red", ", green", ", blue"]
        height, width = self.size
        return [f"pixel[{r}, {c}{colour}]" for r in range(height) for c in range(width) for colour in colours]

    def describe(self) -> list[dict[str, Any]]:
        """Describe what was decided, for the images as a whole."""
        height, width = self.size
        colour = "grey" if self.mode == "L" else "colour"
        return [
            {
                "column": "image",
                "kind": "image",
                "encoding": f"{height} x {width} pixels in {colour}, standardised together",
                "features": self.n_features,
                "note": self._reason,
            }
        ]

    def unseen_summary(self) -> str:
        """Return "": pixels are never unseen."""
        return ""

    def to_dict(self) -> dict[str, Any]:
        """Return all that was learnt, for JSON."""
        return {
            "kind": self.kind,
            "dtype": self.dtype.name,
            "size": list(self.size),
            "mode": self.mode,
            "mean": self.mean,
            "scale": self.scale,
            "reason": self._reason,
        }

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ImageEncoder:
        """Make the encoder that :meth:`to_dict` described."""
        state = read_fields(state, _FIELDS, "encoder", optional=["reason"])
        encoder = cls(state["size"], state["mode"], state["dtype"])
        for name in ("size", "mode", "mean", "scale"):
            setattr(encoder, name, state[name])
        encoder._reason = state.get("reason", "as learnt")
        return encoder


def _choose_size(sizes: Counter[tuple[int, int]]) -> tuple[tuple[int, int], str]:
    """Choose height and width for images of the sizes that were counted, and say why."""
    if len(sizes) == 1:
        height, width = next(iter(sizes))
        if max(height, width) <= _KEPT_SIDE:
            return (height, width), "as all have it"
        found = f"{height} x {width}"
    else:
        found = f"{len(sizes)} different ones"
    sides = np.repeat(np.array(list(sizes)), list(sizes.values()), axis=0)
    ratio = float(np.median(sides[:, 0] / sides[:, 1]))
    longer = min(_LONGEST_SIDE, int(np.median(sides.max(axis=1))))
    height = longer if ratio >= 1 else max(1, round(longer * ratio))
    width = longer if ratio <= 1 else max(1, round(longer / ratio))
    return (height, width), f"chosen, as they came in {found}: stretched to it"


def _images(rows: Any) -> _Files | _Arrays:
    if isinstance(rows, (str, Path)):
        raise TypeError(f"rows must be a list of paths or an array, got the single path {str(rows)!r}.")
    if isinstance(rows, (list, tuple)) and all(isinstance(row, (str, Path)) for row in rows):
        return _Files([Path(row) for row in rows])
    return _Arrays(_checks.as_array("rows", rows))


class _Files:
    """Images in files, read by a thread for each core: Pillow decodes without the GIL."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.pil = _checks.require("PIL.Image", "images")

    def __len__(self) -> int:
        return len(self.paths)

    def survey(self) -> tuple[Counter[tuple[int, int]], bool]:
        """Count the sizes, and tell if all images are grey: of those stored in colour, a sample is read."""
        found = self._map(self._header, self.paths)
        coloured = [path for path, (_, is_grey) in zip(self.paths, found, strict=True) if not is_grey]
        step = -(-len(coloured) // _SAMPLE) or 1
        return Counter(size for size, _ in found), all(map(self._is_grey, coloured[::step]))

    def read_into(
        self,
        out: np.ndarray,
        indices: np.ndarray,
        size: tuple[int, int],
        mode: str,
        mean: float,
        scale: float,
    ) -> None:
        """Write ``(pixels - mean) / scale`` of some images, one a row."""

        def read(row: int) -> None:
            pixels = self._read(self.paths[indices[row]], size, mode)
            out[row] = (pixels.reshape(-1) - mean) / scale

        self._map(read, range(len(indices)))

    def _map(self, function: Callable[[Any], T], items: Sequence[Any]) -> list[T]:
        from .._threads import usable_cores

        try:
            with ThreadPoolExecutor(usable_cores()) as pool:
                return list(pool.map(function, items))
        except Exception:
            if function != self._damage:
                self._refuse_damaged()
            raise

    def _refuse_damaged(self) -> None:
        """Raise if files cannot be read: the message counts them and names the first."""
        damages = self._map(self._damage, self.paths)
        broken = [(path, damage) for path, damage in zip(self.paths, damages, strict=True) if damage]
        if broken:
            path, damage = broken[0]
            n = f" ({len(broken)} of {len(self.paths)} files are damaged)" if len(self.paths) > 1 else ""
            raise ValueError(f"{str(path)!r} cannot be read: {damage}; remove or replace it{n}.") from None

    def _damage(self, path: Path) -> str:
        """Describe what is wrong with a file; "" if nothing is."""
        try:
            self._open(path, _LONGEST_SIDE)
        except Exception as error:  # decoders raise all kinds of errors on damaged files
            text = str(error).strip().rstrip(".") or type(error).__name__
            return "it is not an image" if "cannot identify" in text else text
        return ""

    def _header(self, path: Path) -> tuple[tuple[int, int], bool]:
        """Return height and width of the upright image, and whether it is stored as grey."""
        with self.pil.open(path, formats=_FORMATS) as image:
            width, height = image.size
            if image.getexif().get(_EXIF_ORIENTATION) in _ON_ITS_SIDE:
                width, height = height, width
            return (height, width), image.mode in _GREY_MODES or image.mode.startswith("I;16")

    def _is_grey(self, path: Path) -> bool:
        try:
            pixels = np.asarray(self._open(path, _LONGEST_SIDE).convert("RGB"))
        except Exception:
            self._refuse_damaged()
            raise
        return bool((pixels == pixels[..., :1]).all())

    def _open(self, path: Path, side: int) -> Any:
        """Open an image upright and without transparency; a JPEG no larger than its longer side needs."""
        ops = _checks.require("PIL.ImageOps", "images")
        with self.pil.open(path, formats=_FORMATS) as file:
            file.draft(None, (side, side))
            check_unpacked(4 * file.width * file.height, path.stat().st_size, repr(str(path)))
            file.load()
            image = ops.exif_transpose(file)
        may_be_clear = image.mode.endswith(("A", "a")) or "transparency" in image.info
        if may_be_clear and not image.mode.startswith(("I", "F")):
            white = self.pil.new("RGBA", image.size, "white")
            image = self.pil.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        return image

    def _read(self, path: Path, size: tuple[int, int], mode: str) -> np.ndarray:
        """Return pixels in [0, 1]: (height, width) or (height, width, 3)."""
        image = self._open(path, 2 * max(size))  # twice as many pixels as needed, for the antialiasing filter
        deep = image.mode.startswith(("I", "F"))  # more than 8 bits, always grey
        full = 1.0 if image.mode == "F" else 65535.0 if deep else 255.0
        image = image.convert("F" if deep else mode)
        if image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), self.pil.Resampling.BILINEAR)
        pixels = np.asarray(image, np.float32) / np.float32(full)
        if deep and not np.isfinite(pixels).all():
            raise ValueError(f"{str(path)!r} has pixels that are NaN or infinite.")
        return np.repeat(pixels[..., None], 3, axis=2) if deep and mode == "RGB" else pixels


class _Arrays:
    """Images in an array (n, height, width) or (n, height, width, channels), 1 or 3 of them."""

    def __init__(self, images: np.ndarray) -> None:
        if images.ndim == 4 and images.shape[3] == 1:
            images = images[..., 0]
        if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
            raise ValueError(
                "images must be a list of paths or an array of shape (n, height, width) or (n, height, "
                f"width, 3), got shape {images.shape}."
            )
        if images.dtype.kind not in "biuf":
            raise ValueError(f"images must hold numbers, got dtype {images.dtype}.")
        if 0 in images.shape[1:]:
            raise ValueError(f"there are no pixels in an array of shape {images.shape}.")
        self.images = images
        self.full = {"uint8": 255.0, "uint16": 65535.0}.get(images.dtype.name, 1.0)

    def __len__(self) -> int:
        return len(self.images)

    def survey(self) -> tuple[Counter[tuple[int, int]], bool]:
        """Count the sizes, and tell if all images are grey."""
        sizes = Counter({self.images.shape[1:3]: len(self.images)})
        grey = self.images.ndim == 3 or all(bool((image == image[..., :1]).all()) for image in self.images)
        return sizes, grey

    def read_into(
        self,
        out: np.ndarray,
        indices: np.ndarray,
        size: tuple[int, int],
        mode: str,
        mean: float,
        scale: float,
    ) -> None:
        """Write ``(pixels - mean) / scale`` of some images, one a row."""
        for row, index in enumerate(indices):
            pixels = self._read(self.images[index], size, mode)
            if not np.isfinite(pixels).all():
                raise ValueError(f"image {index} has pixels that are NaN or infinite.")
            out[row] = (pixels.reshape(-1) - mean) / scale

    def _read(self, image: np.ndarray, size: tuple[int, int], mode: str) -> np.ndarray:
        pixels = np.asarray(image, np.float32) / np.float32(self.full)
        if mode == "L" and pixels.ndim == 3:
            pixels = pixels @ _LUMA
        if pixels.shape[:2] != size:
            pil = _checks.require("PIL.Image", "images")
            channels = [
                pil.fromarray(np.ascontiguousarray(channel)).resize(size[::-1], pil.Resampling.BILINEAR)
                for channel in np.atleast_3d(pixels).transpose(2, 0, 1)
            ]
            pixels = np.stack([np.asarray(channel) for channel in channels], axis=-1)
        pixels = pixels.reshape(*size, -1)
        return np.repeat(pixels, 3, axis=2) if mode == "RGB" and pixels.shape[2] == 1 else pixels
