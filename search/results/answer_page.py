"""What a network says of a picture, as one HTML page that needs nothing else: pictures, style and words are inside."""

import base64
import io
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from PIL import Image

from model.data.digit import SIDE, Digit, small_grey

SHOWN = 480  # pixels of the picture's longer side


def answer_page(path: Path, digit: Digit, probabilities: Sequence[float], about: Sequence[tuple[str, str]]) -> str:
    """Return the page; file names and words are escaped. Raises `PictureError` if the picture is gone.

    probabilities: of 0 to 9. about: names and values of what answered.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((files("search.results") / "answer.html").read_text(encoding="utf-8"))
    return template.render(
        name=path.name.encode(errors="replace").decode(),  # a name may hold bytes that are no text
        picture=_data_uri(small_grey(path, SHOWN), "JPEG"),
        seen=_data_uri(Image.fromarray(digit.pixels.view(SIDE, SIDE).numpy()), "PNG"),
        said=max(range(10), key=probabilities.__getitem__),
        probabilities=list(enumerate(probabilities)),
        about=about,
    )


def _data_uri(image: Image.Image, form: str) -> str:
    file = io.BytesIO()
    image.save(file, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
