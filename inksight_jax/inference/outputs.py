"""What every prediction, of a word or of a page, can be turned into."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inksight_jax.ink.alto import write_alto
from inksight_jax.ink.animated_svg import write_animated_svg
from inksight_jax.ink.formats import FORMATS
from inksight_jax.ink.html import write_html
from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.page_xml import write_page_xml
from inksight_jax.ink.pdf import write_pdf
from inksight_jax.ink.svg import write_svg
from inksight_jax.ink.types import Ink
from inksight_jax.ink.xopp import write_xopp
from inksight_jax.rendering.animation import ink_frames, write_gif, write_mp4
from inksight_jax.rendering.images import encode_image
from inksight_jax.rendering.strokes import draw_ordered

Photo = NDArray[np.uint8] | None
# Longer side of an overlay and of photos inside files, pixels; larger ones are
# shrunk to it.
OVERLAY_SIZE = 2048
# The same for PNG, which takes ten times the room of JPEG.
PNG_SIZE = 1280
MOVIE_SIZE = 480
# The words of InkSight's published InkML files where they have one.
INFERENCE_MODES = {
  "derender": "Vanilla Derender",
  "derender_with_text": "Derender with Text",
  "recognize_and_derender": "Recognize and Derender",
  "recognize_ink": "Recognize Ink",
  "recognize_image": "Recognize Image",
}


class Outputs:
  """Base of results: `to_...` gives a document, `save` writes a file.

  What shows the photo takes it from the result, or from the argument `image`
  where the result keeps none; without both the ink stands alone.

  >>> import inksight_jax
  >>> model = inksight_jax.load("runs/quickstart")
  >>> result = model.derender("word.png")
  >>> result.to_svg()[:4]
  '<svg'
  >>> result.show().size
  (250, 126)
  >>> for name in ("word.html", "word.pdf", "word.xopp", "word.page.xml"):
  ...   result.save(name)
  """

  # Fields of the one kind of result, properties of the other.
  text: str
  ink: Ink
  confidence: float
  truncated: bool
  empty: bool
  width: int
  height: int
  image: Photo

  @property
  def line_width(self) -> float:
    """Pen width in pixels that suits the writing."""
    raise NotImplementedError

  @property
  def lines_placed(self) -> bool:
    """Whether `to_words` knows where the lines stand."""
    return True

  def to_words(self) -> tuple[tuple[Word, ...], ...]:
    """The neutral form of the words of each line."""
    raise NotImplementedError

  def to_inkml(self, example_id: str = "") -> str:
    """InkML document with InkSight's annotations."""
    raise NotImplementedError

  def to_dict(self) -> dict[str, Any]:
    """Values that JSON can hold; strokes as lists of [x, y] pixels."""
    raise NotImplementedError

  def to_page(
    self,
    image: Photo = None,
    media_type: str = "image/jpeg",
    image_name: str = "",
  ) -> Page:
    """The neutral form that the writers in `ink` take.

    Args:
      image: uint8[height, width, 3] to lie below, if any.
      media_type: how to store it.
      image_name: file name of the source image.

    Raises:
      ValueError: the image is not of the size of the result.
    """
    picture = None
    if image is not None:
      self._check_size(image)
      longest = PNG_SIZE if media_type == "image/png" else OVERLAY_SIZE
      picture = encode_image(image, media_type, longest)
    return Page(
      self.width,
      self.height,
      self.to_words(),
      self.line_width,
      picture,
      image_name,
      self.lines_placed,
    )

  def to_svg(
    self,
    color_by_order: bool = False,
    animated: bool = False,
    image: Photo = None,
  ) -> str:
    """SVG document of the size of the source image.

    Args:
      color_by_order: colours the ink from first to last point.
      animated: the strokes appear one after the other, coloured by order.
      image: a photo to lie below the animation; none unless given.
    """
    if animated:
      return write_animated_svg(self.to_page(image))
    size = float(self.width), float(self.height)
    return write_svg(self.ink, *size, self.line_width, color_by_order)

  def to_html(self, title: str = "", image: Photo = None) -> str:
    """One page without network that plays the strokes over the photo."""
    image = self.image if image is None else image
    return write_html(self.to_page(image), title)

  def to_pdf(
    self, title: str = "", image: Photo = None, photo: bool = True
  ) -> bytes:
    """PDF with the ink as vectors and the text to be searched.

    Args:
      title: of the document.
      image: the photo, if the result keeps none.
      photo: whether to lay the photo below the ink.
    """
    image = self.image if image is None else image
    return write_pdf(self.to_page(image if photo else None), title)

  def to_xopp(self, image: Photo = None, photo: bool = True) -> bytes:
    """Notes for Xournal++: photo, ink and text, a layer each.

    Args:
      image: the photo, if the result keeps none.
      photo: whether to lay the photo below the ink.
    """
    image = self.image if image is None else image
    if image is not None:
      image = _faded(image)  # Xournal++ cannot do it.
    return write_xopp(self.to_page(image if photo else None, "image/png"))

  def to_pagexml(self, image_name: str = "") -> str:
    """PAGE-XML 2019-07-15: lines, words, texts, confidences."""
    return write_page_xml(self.to_page(image_name=image_name))

  def to_alto(self, image_name: str = "") -> str:
    """ALTO 4.4: lines, words, texts, confidences."""
    return write_alto(self.to_page(image_name=image_name))

  def to_json(self) -> str:
    """`to_dict` as text."""
    return json.dumps(self.to_dict(), ensure_ascii=False) + "\n"

  def overlay(self, image: Photo = None) -> NDArray[np.uint8]:
    """Draws the ink over the faded source image, coloured by writing order.

    Args:
      image: uint8[height, width, 3]; the kept one by default.

    Returns:
      uint8[h, w, 3], shrunk to at most OVERLAY_SIZE on its longer side.

    Raises:
      ValueError: no image was kept and none is given, or of another size.
    """
    image = self.image if image is None else image
    if image is None:
      raise ValueError(
        "This result keeps no image; pass the source image to `overlay`."
      )
    self._check_size(image)
    ink, height, width, scale = self._shrunk(OVERLAY_SIZE)
    if scale < 1:
      resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
      image = np.asarray(resized, np.uint8)
    background = _faded(image)
    return draw_ordered(
      ink, height, width, self.line_width * scale, background=background
    )

  def show(self) -> Image.Image:
    """The overlay as a Pillow image, which notebooks display.

    In a script, call `.show()` or `.save(path)` on what this returns.

    Raises:
      ValueError: no image was kept.
    """
    return Image.fromarray(self.overlay())

  def save_gif(self, path: str | os.PathLike[str]) -> None:
    """Writes a GIF in which the strokes appear in order, on white.

    Args:
      path: file to write; its pictures have at most MOVIE_SIZE pixels a side.
    """
    write_gif(path, self._frames())

  def save_mp4(self, path: str | os.PathLike[str]) -> None:
    """Writes a video in which the strokes appear in order, on white.

    Args:
      path: file to write; its pictures have at most MOVIE_SIZE pixels a side.

    Raises:
      ValueError: this OpenCV has no video encoder.
    """
    write_mp4(path, self._frames())

  def save(
    self,
    path: str | os.PathLike[str],
    kind: str = "",
    image: Photo = None,
    name: str = "",
  ) -> None:
    """Writes a file in any format.

    Args:
      path: file to write.
      kind: a key of FORMATS; by the ending of the path if empty.
      image: the photo, if the result keeps none.
      name: of the source image, for formats that say it.

    Raises:
      ValueError: unknown format; no photo for "png".
    """
    kind = kind or kind_of(path)
    if kind not in FORMATS:
      raise ValueError(
        f"Unknown format {kind!r}; choose from {', '.join(FORMATS)}."
      )
    _WRITERS[kind](self, os.fspath(path), image, name)

  def _frames(self) -> list[NDArray[np.uint8]]:
    ink, height, width, scale = self._shrunk(MOVIE_SIZE)
    return ink_frames(ink, height, width, self.line_width * scale)

  def _check_size(self, image: NDArray[np.uint8]) -> None:
    if image.shape[:2] != (self.height, self.width):
      raise ValueError(
        f"The result is of an image of {self.height} x {self.width} pixels; "
        f"got one of {image.shape[0]} x {image.shape[1]}."
      )

  def _shrunk(self, longest: int) -> tuple[Ink, int, int, float]:
    """Ink, height, width and scale of the image with a limited longer side."""
    scale = min(1.0, longest / max(self.width, self.height))
    height = max(1, round(self.height * scale))
    width = max(1, round(self.width * scale))
    # Pixel centres are whole numbers, so a resize by s maps x to
    # (x + 0.5) s - 0.5.
    offset = 0.5 * scale - 0.5
    return self.ink.scaled(scale, (offset, offset)), height, width, scale


def _faded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
  """Half as dark, so that the ink on top is told from the ink below."""
  return 255 - (255 - image) // 2


def strokes_to_lists(ink: Ink) -> list[list[list[float]]]:
  """Strokes as lists of [x, y], to 0.01 pixel, for JSON."""
  return [np.round(stroke.points, 2).tolist() for stroke in ink.strokes]


def rounded(values: tuple[float, ...]) -> list[float]:
  """Confidences for JSON."""
  return [round(value, 4) for value in values]


def geometric_mean(values: list[float]) -> float:
  """Of values of 0 to 1; 0 without values."""
  if not values or min(values) <= 0:
    return 0.0
  return math.exp(sum(map(math.log, values)) / len(values))


def _save_png(result: Outputs, path: str, image: Photo, name: str) -> None:
  Image.fromarray(result.overlay(image)).save(path, "PNG")


def _writing(
  make: Callable[[Outputs, Photo, str], str | bytes],
) -> Callable[[Outputs, str, Photo, str], None]:
  """A writer of files from a maker of documents."""

  def write(result: Outputs, path: str, image: Photo, name: str) -> None:
    made = make(result, image, name)
    # Text from a shell may hold halves of characters.
    data = made.encode("utf-8", "replace") if isinstance(made, str) else made
    with open(path, "wb") as file:
      file.write(data)

  return write


def _stem(name: str) -> str:
  return os.path.splitext(os.path.basename(name))[0]


_WRITERS: Mapping[str, Callable[[Outputs, str, Photo, str], None]] = {
  "inkml": _writing(lambda r, _, name: r.to_inkml(_stem(name))),
  "svg": _writing(lambda r, *_: r.to_svg(color_by_order=True)),
  "animated": _writing(lambda r, *_: r.to_svg(animated=True)),
  "png": _save_png,
  "gif": lambda result, path, *_: result.save_gif(path),
  "mp4": lambda result, path, *_: result.save_mp4(path),
  "json": _writing(lambda r, *_: r.to_json()),
  "text": _writing(lambda r, *_: r.text + "\n"),
  "xopp": _writing(lambda r, image, _: r.to_xopp(image)),
  "pagexml": _writing(lambda r, _, name: r.to_pagexml(os.path.basename(name))),
  "alto": _writing(lambda r, _, name: r.to_alto(os.path.basename(name))),
  "pdf": _writing(lambda r, image, name: r.to_pdf(_stem(name), image)),
  "html": _writing(lambda r, image, name: r.to_html(_stem(name), image)),
}


def kind_of(path: str | os.PathLike[str]) -> str:
  """The format that the ending of a file name stands for.

  Raises:
    ValueError: no format has it.
  """
  name = os.fspath(path).lower()
  matching = [kind for kind, end in FORMATS.items() if name.endswith(end)]
  if not matching:
    raise ValueError(
      f"{os.fspath(path)}: no format ends like this; known are "
      f"{', '.join(FORMATS.values())}."
    )
  return max(matching, key=lambda kind: len(FORMATS[kind]))
