"""A picture from a file, fully read, or one line that says why not."""

from pathlib import Path

from PIL import Image, ImageOps

from model.errors import PictureError, first_line

MAX_PIXELS = 50_000_000  # unpacking a larger picture could fill the memory


def open_picture(path: Path, mend: str) -> Image.Image:
    """Return the picture, upright. Raises `PictureError`; of a picture that is too large, `mend` says what to do."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise PictureError(f"{path} is too large: {image.width} x {image.height} pixels; {mend}")
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise PictureError(f"no such picture: {path}") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise PictureError(f"cannot read {path} as a picture: {_reason(error)}; give a PNG or JPEG file") from error


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "it is none" if "cannot identify" in str(error) else first_line(error)
