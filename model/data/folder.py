"""Pictures in a folder: a subfolder for each class, whose name is the subfolder's.

All have one size; others are refused, since to resize is a choice that changes what is asked. Where one picture has
colours all are read as red, green and blue, (3, height, width); else as grey, (height, width). What is transparent lies
on white. Files whose name begins with a dot, and files beside the subfolders, are not looked at.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.data.memory import refuse_too_large
from model.data.picture import open_picture
from model.data.raw import Array, Raw, Target, content_hash, file_hash, flattened
from model.errors import OwnDataError, PictureError

Pixels = NDArray[np.uint8]  # (height, width) grey, or (height, width, 3)


def read_folder(path: Path) -> Raw:
    """Return the pictures below a folder. Raises `OwnDataError` for anything that cannot be used."""
    files = [file for folder in _visible(path) if folder.is_dir() for file in _pictures(folder)]
    if not files:
        raise OwnDataError(f"{path} has no subfolders with pictures: give one for each class")
    classes = np.asarray([file.parent.name for file in files])
    target = Target.of(classes, f"{path} (its subfolders are the classes)")
    pixels = _together(_read_all(path, files))
    names = (str(file.relative_to(path).as_posix()) for file in files)
    return Raw(
        name=path.name,
        sha256=content_hash((name, file_hash(file)) for name, file in zip(names, files, strict=True)),
        inputs=pixels,
        targets=target.encode(classes, target.what),
        target=target,
        fit=flattened,
        shape=pixels.shape[1:],
    )


def _visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name, without what is hidden."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _pictures(folder: Path) -> list[Path]:
    files = _visible(folder)
    if inner := next((file for file in files if file.is_dir()), None):
        raise OwnDataError(f"{inner} is a folder in a class's folder: name the folder whose subfolders are the classes")
    if not files:
        raise OwnDataError(f"{folder} has no pictures: put some there, or remove the folder")
    return files


def _read_all(path: Path, files: list[Path]) -> list[Pixels]:
    pictures: list[Pixels] = []
    for file in files:
        pixels = _read(file)
        if not pictures:
            refuse_too_large(
                f"{path}, with {len(files)} pictures,", len(files) * pixels.size * 10
            )  # uint8, twice float32
        elif pixels.shape[:2] != pictures[0].shape[:2]:
            sizes = f"{_size(pixels)} pixels, {files[0].name} {_size(pictures[0])}"
            raise OwnDataError(f"{file} has {sizes}: resize all pictures to one size first")
        pictures.append(pixels)
    return pictures


def _read(file: Path) -> Pixels:
    """Return a picture's pixels. Raises `OwnDataError`."""
    try:
        image = open_picture(file, "resize it")
    except PictureError as error:
        raise OwnDataError(f"{error}, or remove it") from error
    if image.mode.startswith(("I", "F")):
        raise OwnDataError(f"{file} has more than 8 bits a pixel (mode {image.mode}): save it with 8")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA")).convert("RGB")
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _together(pictures: list[Pixels]) -> Array:
    """Return all as one array, uint8 (n, height, width) or, where one has colours, (n, 3, height, width)."""
    if all(picture.ndim == 2 for picture in pictures):
        return np.stack(pictures)
    coloured = [picture if picture.ndim == 3 else np.stack([picture] * 3, axis=2) for picture in pictures]
    return np.stack(coloured).transpose(0, 3, 1, 2)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} x {pixels.shape[0]}"
