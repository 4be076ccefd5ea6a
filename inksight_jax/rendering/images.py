"""Reading pictures that people bring: any format, any state.

Every refusal is a ValueError that says what is wrong with the file.
"""

from __future__ import annotations

import io
import os
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from inksight_jax.ink.page import Picture

# A 60-megapixel photo passes; the decoded picture and one copy stay well
# below 1 GB.
MAX_PIXELS = 80_000_000

ImageLike = str | os.PathLike[str] | NDArray[Any] | Image.Image


def read_image(
  source: ImageLike | bytes, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
  """Reads a picture as RGB.

  The camera's orientation (EXIF) is applied, transparency is laid on white,
  and of an animation the first frame is taken.

  Args:
    source: a path; the bytes of a file; a Pillow image; or uint8[height,
      width], [height, width, 3] RGB or [height, width, 4] RGBA.
    max_pixels: of files and Pillow images.

  Returns:
    uint8[height, width, 3].

  Raises:
    ValueError: the file is absent, empty, cut off, no picture, or has more
      than `max_pixels` pixels; the array is of another type or shape.
  """
  if isinstance(source, np.ndarray):
    return _from_array(source)
  if isinstance(source, Image.Image):
    return _to_rgb(source, "the image", max_pixels)
  if isinstance(source, bytes):
    return _decode(io.BytesIO(source), "the file", max_pixels)
  path = os.fspath(source)
  if not os.path.isfile(path):
    kind = "a folder" if os.path.isdir(path) else "absent"
    raise ValueError(f"{path} is {kind}, not a picture.")
  if not os.path.getsize(path):
    raise ValueError(f"{path} is empty (0 bytes).")
  return _decode(path, path, max_pixels)


def _decode(
  file: str | io.BytesIO, name: str, max_pixels: int
) -> NDArray[np.uint8]:
  try:
    with warnings.catch_warnings():
      # Our own limit, checked below, has the clearer words; broken metadata is
      # no reason to refuse a picture.
      warnings.simplefilter("ignore")
      with Image.open(file) as image:
        return _to_rgb(image, name, max_pixels)
  except UnidentifiedImageError as error:
    raise ValueError(
      f"{name} is not a picture in a known format (JPEG, PNG, TIFF, WebP, ...)."
    ) from error
  except Image.DecompressionBombError as error:
    raise ValueError(_too_large(name, str(error), max_pixels)) from error
  except ValueError as error:
    if name in str(error):
      raise
    # Pillow's own, over bombs in the metadata.
    raise ValueError(f"{name} is damaged: {error}.") from error
  except (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    SyntaxError,
    TypeError,
    struct.error,
  ) as error:
    # Pillow raises SyntaxError over a damaged PNG or TIFF, the others over
    # sizes and counts that a damaged header declares.
    raise ValueError(f"{name} is damaged or cut off: {error}.") from error


def _to_rgb(
  image: Image.Image, name: str, max_pixels: int
) -> NDArray[np.uint8]:
  width, height = image.size
  if width * height > max_pixels:
    raise ValueError(_too_large(name, f"{width} x {height}", max_pixels))
  image = ImageOps.exif_transpose(image)
  if image.mode.startswith("I") or image.mode == "F":
    # Scanners write 16 bits; Pillow's own conversion would clip, not scale.
    values = np.asarray(image)
    top = 255.0 if values.max(initial=0) <= 255 else 65535.0
    scaled = np.multiply(values, 255.0 / top, dtype=np.float32)
    grey = np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
  if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
    image = _on_white(image.convert("RGBA"))
  # `convert` copies, also what is RGB already.
  return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _from_array(array: NDArray[Any]) -> NDArray[np.uint8]:
  if array.dtype != np.uint8:
    raise ValueError(
      f"An image array must be uint8, 0 to 255; got {array.dtype}. For values "
      "in 0..1 use (image * 255).astype(np.uint8)."
    )
  if array.ndim not in (2, 3) or not array.size:
    raise ValueError(
      "An image array must be [height, width], or [height, width, 3 or 4] and "
      f"not empty; got shape {array.shape}."
    )
  if array.ndim == 2:
    return np.repeat(array[:, :, None], 3, axis=2)
  if array.shape[2] == 4:
    return np.asarray(_on_white(Image.fromarray(array)))
  if array.shape[2] != 3:
    raise ValueError(
      f"An image has 3 (RGB) or 4 (RGBA) channels; got shape {array.shape}."
    )
  return array


def _on_white(image: Image.Image) -> Image.Image:
  paper = Image.new("RGB", image.size, (255, 255, 255))
  paper.paste(image, mask=image.getchannel("A"))
  return paper


def _too_large(name: str, size: str, max_pixels: int) -> str:
  return (
    f"{name} is too large: {size} pixels, {max_pixels / 1e6:g} megapixels at "
    "most; crop or shrink it first."
  )


def encode_image(
  image: NDArray[np.uint8], media_type: str, longest: int
) -> Picture:
  """Encodes an image for a file that carries it along.

  Args:
    image: uint8[height, width, 3] RGB.
    media_type: "image/jpeg" or "image/png".
    longest: the longer side is shrunk to it, pixels.

  Raises:
    ValueError: another media type.
  """
  kinds = {"image/jpeg": "JPEG", "image/png": "PNG"}
  if media_type not in kinds:
    raise ValueError(f"{media_type!r}; one of {', '.join(kinds)}.")
  picture = Image.fromarray(image)
  scale = longest / max(picture.size)
  if scale < 1:
    width, height = (max(1, round(side * scale)) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BOX)
  stream = io.BytesIO()
  picture.save(stream, kinds[media_type], quality=85)
  return Picture(stream.getvalue(), media_type, picture.width, picture.height)
