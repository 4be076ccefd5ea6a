"""Damaged and odd pictures through reading, segmentation and crops.

  python benchmarks/page_fuzz.py page.jpg word.jpg --count=2000

Every picture must give words or a ValueError within 5 s of processor time and
1 GB. Then a photo of 60 megapixels, in a process of its own. Memory is the
peak of the process, Python and OpenCV included.
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inksight_jax.inference.crops import cut_words
from inksight_jax.inference.segmentation.builtin import BuiltinSegmenter
from inksight_jax.inference.segmentation.masks import with_masks
from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.rendering.images import read_image

MAX_SECONDS = 5.0
MAX_BYTES = 1e9
ORIENTATION = 0x0112

Pixels = NDArray[np.uint8]


def _resized(image: Pixels, rng: np.random.Generator) -> Pixels:
  """Any size, often of an extreme aspect, often a single row or column."""
  sides = np.exp(rng.uniform(0, np.log(3000), 2)).astype(int)
  sides[rng.random(2) < 0.15] = 1
  return cv2.resize(image, (int(sides[0]), int(sides[1]))).astype(np.uint8)


def _patched(image: Pixels, rng: np.random.Generator) -> Pixels:
  """Rectangles of noise, of one colour, or of the picture itself."""
  image = image.copy()
  height, width = image.shape[:2]
  for _ in range(int(rng.integers(1, 6))):
    top, left = int(rng.integers(height)), int(rng.integers(width))
    part = image[top : top + height // 3, left : left + width // 3]
    kind = rng.integers(3)
    if kind == 0:
      part[:] = rng.integers(0, 256, part.shape)
    elif kind == 1:
      part[:] = rng.integers(0, 256, 3)
    else:
      part[:] = part[::-1, ::-1].copy()
  return image


def mutate(image: Pixels, rng: np.random.Generator) -> Pixels:
  """Crops, noise, inversion, blur, turns, new sizes: one to three of them."""
  for _ in range(int(rng.integers(1, 4))):
    height, width = image.shape[:2]
    kind = int(rng.integers(8))
    if kind == 0:
      top, left = int(rng.integers(height)), int(rng.integers(width))
      low = top + 1 + int(rng.integers(height - top))
      right = left + 1 + int(rng.integers(width - left))
      image = image[top:low, left:right]
    elif kind == 1:
      noise = rng.normal(0, rng.uniform(1, 120), image.shape)
      image = np.clip(image + noise, 0, 255).astype(np.uint8)
    elif kind == 2:
      image = 255 - image
    elif kind == 3:
      image = _resized(image, rng)
    elif kind == 4:
      image = np.rot90(image, int(rng.integers(4)))
    elif kind == 5:
      image = _patched(image, rng)
    elif kind == 6:
      image = cv2.blur(image, (int(rng.integers(1, 40)),) * 2).astype(np.uint8)
    else:
      salt = rng.random(image.shape[:2]) < rng.uniform(0, 0.5)
      image = np.where(salt[..., None], rng.integers(0, 256, 3), image)
      image = image.astype(np.uint8)
    image = np.ascontiguousarray(image)
  return image


def encode(image: Pixels, rng: np.random.Generator) -> tuple[bytes, str]:
  """A file of any kind, now and then cut off or with bytes changed."""
  picture = Image.fromarray(image)
  kind = str(rng.choice(["png", "jpeg", "cmyk", "alpha", "16bit", "grey",
                         "palette", "exif", "tiff", "bmp"]))  # fmt: skip
  stream = io.BytesIO()
  if kind == "cmyk":
    picture.convert("CMYK").save(stream, "JPEG")
  elif kind == "alpha":
    picture.putalpha(int(rng.integers(256)))
    picture.save(stream, "PNG")
  elif kind == "16bit":
    grey = np.asarray(picture.convert("L")).astype(np.uint16) * 257
    Image.fromarray(grey).save(stream, "PNG")
  elif kind == "grey":
    picture.convert("L").save(stream, "PNG")
  elif kind == "palette":
    picture.convert("P").save(stream, "GIF")
  elif kind == "exif":
    exif = Image.Exif()
    exif[ORIENTATION] = int(rng.integers(0, 12))
    picture.save(stream, "JPEG", exif=exif)
  else:
    picture.save(stream, kind)
  data = bytearray(stream.getvalue())
  if rng.random() < 0.15:
    kind += ", cut off"
    data = data[: int(rng.integers(len(data)))]
  elif rng.random() < 0.15:
    kind += ", changed"
    for place in rng.integers(len(data), size=int(rng.integers(1, 40))):
      data[place] = int(rng.integers(256))
  return bytes(data), kind


def process(path: pathlib.Path) -> int:
  """Reads a picture and cuts out its words; returns how many."""
  image = read_image(path)
  regions = with_masks(image, BuiltinSegmenter()(image))
  ordered = [region for line in reading_order(regions) for region in line]
  crops = cut_words(image, ordered)
  assert len(crops) == len(regions)
  assert all(t.image.size and t.image.ndim == 3 for c in crops for t in c.tiles)
  return len(crops)


def peak_bytes() -> int:
  """Largest memory the process has had."""
  return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def large_photo(image: Pixels) -> Pixels:
  """60 megapixels of the given page, again and again."""
  tile = cv2.resize(image, (4500, round(4500 / image.shape[1] * len(image))))
  rows = -(-6667 // len(tile))
  return np.tile(tile, (rows, 2, 1))[:6667].astype(np.uint8)


def read_photo(path: pathlib.Path) -> None:
  """Prints what one picture takes, as JSON."""
  start = time.process_time()
  words = process(path)
  seconds = round(time.process_time() - start, 2)
  print(json.dumps({"words": words, "seconds": seconds, "bytes": peak_bytes()}))


def main() -> None:
  """Prints the outcome as JSON; fails where a limit is broken."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("pictures", nargs="*", type=pathlib.Path)
  parser.add_argument("--photo", type=pathlib.Path, help="only this one")
  parser.add_argument("--count", type=int, default=2000)
  parser.add_argument("--seed", type=int, default=0)
  args = parser.parse_args()
  if args.photo:
    return read_photo(args.photo)
  rng = np.random.default_rng(args.seed)
  sources = [read_image(path) for path in args.pictures]
  outcomes: collections.Counter[str] = collections.Counter()
  slowest, what = 0.0, ""
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "picture"
    for _ in range(args.count):
      image = mutate(sources[int(rng.integers(len(sources)))], rng)
      data, kind = encode(image, rng)
      path.write_bytes(data)
      start = time.process_time()
      try:
        outcomes["with words" if process(path) else "without words"] += 1
      except ValueError:
        outcomes["refused"] += 1
      seconds = time.process_time() - start
      if seconds > slowest:
        slowest, what = seconds, f"{kind}, {image.shape}"
    # Making the photo takes more memory than reading it: this process's peak
    # is looked at before, and another one reads it.
    small_peak = peak_bytes()
    Image.fromarray(large_photo(sources[0])).save(path, "JPEG", quality=85)
    done = subprocess.run(
      [sys.executable, __file__, "--photo", str(path)],
      check=True,
      capture_output=True,
      text=True,
    )
    photo = json.loads(done.stdout)
  print(
    json.dumps(
      {
        "outcomes": outcomes,
        "slowest_seconds": round(slowest, 2),
        "slowest": what,
        "peak_mb": round(small_peak / 1e6),
        "photo": photo,
      }
    )
  )
  slowest = max(slowest, photo["seconds"])
  if slowest > MAX_SECONDS or max(small_peak, photo["bytes"]) > MAX_BYTES:
    raise SystemExit("a limit is broken")


if __name__ == "__main__":
  main()
