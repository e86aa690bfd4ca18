"""The samples: an .npz file with x and y, or a folder with a folder of images for each class."""

import hashlib
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from hantei_api.reasons import Reason
from hantei_evaluator.run.errors import EvaluationError
from hantei_evaluator.run.inputs import sha256_of

FIELD = "suite.classification.data"
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
Preprocess = Callable[[Image.Image], Tensor]
Rows = range | NDArray[np.intp]
"""Numbers of samples: a range where they follow one another."""


@dataclass(frozen=True)
class ArraySamples:
    """From an .npz file: x [n, ...] of any number type, y [n] whole numbers."""

    file: Path
    x: np.ndarray
    labels: np.ndarray
    """[n] int64."""
    classes: Sequence[str] | None = None
    """Names of the classes, or None when the labels are bare numbers."""

    def sample_id(self, index: int) -> str:
        """The row's index: the same in every evaluation of the same data."""
        return str(index)

    def batch(self, rows: Rows) -> Tensor:
        """Rows as they are; such as follow one another are not copied."""
        part = self.x[rows.start : rows.stop] if isinstance(rows, range) else self.x[rows]
        return torch.from_numpy(np.ascontiguousarray(part))

    def digest(self, threads: int) -> str:
        """SHA-256 of the file."""
        del threads  # one file is read by one
        return sha256_of(self.file)


@dataclass(frozen=True)
class ImageSamples:
    """From a folder: its sub-folders, sorted by name, are the classes 0, 1, ..."""

    root: Path
    found: Sequence[Path]
    """All images."""
    files: Sequence[Path]
    """Those that are classified: the first of them."""
    labels: np.ndarray
    classes: Sequence[str]
    preprocess: Preprocess

    def sample_id(self, index: int) -> str:
        """The image's path below the folder."""
        return self.files[index].relative_to(self.root).as_posix()

    def batch(self, rows: Rows) -> Tensor:
        """Images through ``preprocess``; all of a batch must come out in one shape."""
        tensors = [self._read(self.files[row]) for row in rows]
        _check_shapes({tuple(tensor.shape) for tensor in tensors})
        return torch.stack(tensors)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """One batch of several, which must have one shape as well."""
        _check_shapes({tuple(part.shape[1:]) for part in parts})
        return torch.cat(list(parts))

    def digest(self, threads: int) -> str:
        """SHA-256 of the lines that ``sha256sum`` prints for all images, also those that max_samples leaves out."""
        listing = hashlib.sha256()
        with ThreadPoolExecutor(threads) as pool:
            for path, digest in zip(self.found, pool.map(sha256_of, self.found), strict=True):
                listing.update(f"{digest}  {path.relative_to(self.root)}\n".encode())
        return listing.hexdigest()

    def _read(self, path: Path) -> Tensor:
        try:
            with Image.open(path) as image:
                return self.preprocess(image)
        except (UnidentifiedImageError, OSError) as error:
            raise _invalid(f"{path.relative_to(self.root)} is no image that can be read: {error}") from error


Samples = ArraySamples | ImageSamples
"""Labelled samples, read a batch at a time: inputs [batch, ...] on the CPU."""


def _check_shapes(shapes: set[tuple[int, ...]]) -> None:
    if len(shapes) > 1:
        raise _invalid(
            f"images come in several shapes ({sorted(shapes)[:3]}): give a preprocess function that makes them one"
        )


def default_preprocess(image: Image.Image) -> Tensor:
    """Pixel values divided by 255, as float32 [channels, height, width]; palettes and the like become RGB."""
    converted = image if image.mode in {"L", "RGB"} else image.convert("RGB")
    pixels = np.asarray(converted, dtype=np.float32) / 255.0
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1).contiguous()


def read_samples(path: Path, preprocess: Preprocess, max_samples: int | None) -> Samples:
    """The samples at ``path``, the first ``max_samples`` of them; raises InvalidTask with what is wrong."""
    if path.is_dir():
        return _read_folder(path, preprocess, max_samples)
    if path.is_file():
        return _read_npz(path, max_samples)
    there = sorted(each.name for each in path.parent.iterdir())[:8] if path.parent.is_dir() else []
    raise _invalid(f"there is no {path.name} below the inputs; its directory holds {', '.join(there) or 'nothing'}")


def _read_npz(path: Path, max_samples: int | None) -> ArraySamples:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = {"x", "y"} - set(arrays.files)
            if missing:
                raise _invalid(
                    f"{path.name} has no array {', '.join(sorted(missing))}; it has {', '.join(arrays.files)}"
                )
            x, y = arrays["x"], arrays["y"]
            names = [str(name) for name in arrays["classes"]] if "classes" in arrays.files else None
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, AttributeError) as error:
        raise _invalid(f"{path.name} is no .npz file with plain arrays: {error}") from error
    if x.ndim < 1 or y.ndim != 1 or len(x) != len(y):
        raise _invalid(f"x has shape {x.shape} and y {y.shape}: x [n, ...] and y [n] have one row for each sample")
    if not len(y):
        raise _invalid("x and y are empty: give at least one sample")
    if not (np.issubdtype(x.dtype, np.number) or x.dtype == np.bool_):
        raise _invalid(f"x has type {x.dtype}: numbers are needed")
    if not np.issubdtype(y.dtype, np.integer):
        raise _invalid(f"y has type {y.dtype}: class numbers 0, 1, ... as integers are needed")
    return ArraySamples(path, x[:max_samples], y[:max_samples].astype(np.int64), names)


def _read_folder(root: Path, preprocess: Preprocess, max_samples: int | None) -> ImageSamples:
    folders = sorted(each for each in root.iterdir() if each.is_dir())
    if not folders:
        raise _invalid("the folder has no sub-folders: put the images of each class into a folder of its own")
    found = [
        (path, label)
        for label, folder in enumerate(folders)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in IMAGE_SUFFIXES
    ]
    if not found:
        raise _invalid(f"the {len(folders)} class folders hold no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
    paths = [path for path, _ in found]
    labels = np.array([label for _, label in found[:max_samples]], dtype=np.int64)
    return ImageSamples(root, paths, paths[:max_samples], labels, [folder.name for folder in folders], preprocess)


def _invalid(problem: str) -> EvaluationError:
    return EvaluationError(Reason.INVALID_TASK, f"{FIELD}: {problem}.")
