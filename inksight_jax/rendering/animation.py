"""Ink being written, as frames, as a GIF and as a video."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.strokes import draw_order_frames

Image = NDArray[np.uint8]

# What a GIF can hold.
_PALETTE_SIZE = 256
# OpenCV's wheels have no H.264. Their VP9, which browsers play, took 2 s for a
# tidy word and 16 s for a scribble, against 0.1 s.
_VIDEO_CODEC = "mp4v"


def ink_frames(
  ink: Ink,
  height: int,
  width: int,
  line_width: float = 2.0,
  num_frames: int = 40,
  background: Image | None = None,
) -> list[Image]:
  """Draws ink as it is written: each frame has more of it, the last all.

  Args:
    ink: points in pixels of the picture.
    height: rows of the picture.
    width: columns of the picture.
    line_width: pixels.
    num_frames: frames at most; short inks have one per point.
    background: uint8[height, width, 3] to draw upon instead of white.

  Returns:
    uint8[height, width, 3] RGB frames, coloured by order; a single empty one
    for empty ink.
  """
  if num_frames < 1:
    raise ValueError(f"An animation needs 1 frame at least; got {num_frames}.")
  steps = np.linspace(0, ink.num_points, min(num_frames, ink.num_points) + 1)
  counts = np.rint(steps[1:]).astype(int).tolist() or [0]
  return draw_order_frames(ink, height, width, line_width, counts, background)


def _pack(image: Image) -> NDArray[np.int32]:
  """Colours as 24-bit numbers, int32[height, width]."""
  red, green, blue = (image[:, :, i].astype(np.int32) for i in range(3))
  return red << 16 | green << 8 | blue


def _unpack(codes: NDArray[np.integer]) -> NDArray[np.integer]:
  """The inverse of `_pack` for a row of colours, int[colours, 3]."""
  return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)


def _indexed(
  frames: Sequence[Image],
) -> tuple[list[Image], NDArray[np.uint8]]:
  """Maps frames to one palette of 256 colours at most.

  One palette and no dithering: what is already written must not flicker. The
  commonest colours, paper above all, are kept exactly, which Pillow's own
  mapping does not do.

  Returns:
    uint8[height, width] per frame and the palette uint8[colours, 3].
  """
  from PIL import Image as PillowImage

  packed = [_pack(frame) for frame in frames]
  # A table over all 24-bit colours beats sorting every pixel of every frame.
  seen = np.zeros(1 << 24, np.bool_)
  for codes in packed:
    seen[codes] = True
  values = np.flatnonzero(seen)
  colors = _unpack(values)
  palette = colors
  if len(colors) > _PALETTE_SIZE:
    codes, counts = np.unique(packed[-1], return_counts=True)
    common = codes[np.argsort(-counts, kind="stable")[: _PALETTE_SIZE // 2]]
    cut = PillowImage.fromarray(frames[-1]).quantize(_PALETTE_SIZE // 2)
    rest = np.array(cut.getpalette()).reshape(-1, 3)
    palette = np.concatenate([_unpack(common), rest])
  table = np.zeros(1 << 24, np.uint8)
  for chunk in np.array_split(values, len(values) // 1024 + 1):
    distance = np.square(_unpack(chunk)[:, None] - palette).sum(-1)
    table[chunk] = distance.argmin(1)
  return [table[codes] for codes in packed], palette.astype(np.uint8)


def write_gif(
  path: str | os.PathLike[str],
  frames: Sequence[Image],
  frame_ms: int = 60,
  last_ms: int = 1500,
) -> None:
  """Writes frames as an endlessly repeated GIF.

  Args:
    path: file to write.
    frames: uint8[height, width, 3] RGB, all of one size.
    frame_ms: how long each frame shows, ms.
    last_ms: how long the last one shows, ms.

  Raises:
    ValueError: there are no frames, or their sizes differ.
  """
  _check_frames(frames, "GIF")
  from PIL import Image as PillowImage

  indices, palette = _indexed(frames)
  pictures = []
  for frame in indices:
    picture = PillowImage.fromarray(frame)
    picture.putpalette(palette.tobytes())
    pictures.append(picture)
  pictures[0].save(
    os.fspath(path),
    format="GIF",
    save_all=True,
    append_images=pictures[1:],
    duration=[frame_ms] * (len(frames) - 1) + [last_ms],
    loop=0,
    disposal=1,
  )


def write_mp4(
  path: str | os.PathLike[str],
  frames: Sequence[Image],
  frame_ms: int = 60,
  last_ms: int = 1500,
) -> None:
  """Writes frames as an MP4 video.

  MPEG-4 part 2, which players know and browsers do not.

  Args:
    path: file to write.
    frames: uint8[height, width, 3] RGB, all of one size.
    frame_ms: how long each frame shows, ms.
    last_ms: how long the last one shows, ms.

  Raises:
    ValueError: there are no frames, their sizes differ, or this OpenCV has no
      encoder.
  """
  _check_frames(frames, "video")
  height, width = frames[0].shape[:2]
  # Video codecs halve the resolution of colours: sides must be even.
  padding = ((0, height % 2), (0, width % 2), (0, 0))
  size = width + width % 2, height + height % 2
  rest = max(1, round(last_ms / frame_ms))
  with tempfile.TemporaryDirectory() as folder:
    # OpenCV chooses the container by the ending.
    file = os.path.join(folder, "video.mp4")
    writer = _video_writer(file, 1000 / frame_ms, size)
    for frame in [*frames, *[frames[-1]] * (rest - 1)]:
      writer.write(np.pad(frame, padding, mode="edge")[:, :, ::-1].copy())
    writer.release()
    shutil.move(file, os.fspath(path))


def _video_writer(
  file: str, rate: float, size: tuple[int, int]
) -> cv2.VideoWriter:
  code = cv2.VideoWriter.fourcc(*_VIDEO_CODEC)
  writer = cv2.VideoWriter(file, code, rate, size)
  if not writer.isOpened():
    raise ValueError(
      "This OpenCV cannot write MP4; install opencv-python-headless, or use "
      "GIF."
    )
  return writer


def _check_frames(frames: Sequence[Image], kind: str) -> None:
  if not frames:
    raise ValueError(f"A {kind} needs at least one frame.")
  shapes = {frame.shape for frame in frames}
  if len(shapes) > 1:
    raise ValueError(f"Frames differ in shape: {sorted(shapes)}.")
