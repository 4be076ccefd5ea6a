"""Frames grow stroke by stroke, in memory and in the file."""

import itertools

import numpy as np
import pytest
from PIL import Image

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.animation import ink_frames, write_gif
from inksight_jax.rendering.handwriting import write_word
from inksight_jax.rendering.strokes import draw_ordered


@pytest.fixture(scope="module")
def ink():
  word = write_word("cat", np.random.default_rng(0))
  return word.scaled(70 / word.bounds[2], (5, 5))


def inked(frame):
  return (np.asarray(frame) < 200).any(2)


def assert_growing(frames):
  areas = [inked(frame).sum() for frame in frames]
  for before, after in itertools.pairwise(frames):
    # What is written stays written; faint edges may change their colour.
    assert not ((before < 150).any(2) & ~inked(after)).any()
  assert areas == sorted(areas)
  assert areas[0] < 0.3 * areas[-1]


def test_frames_grow_to_the_whole_ink(ink):
  frames = ink_frames(ink, 60, 80, 2.0, num_frames=12)
  assert len(frames) == 12
  assert_growing(frames)
  np.testing.assert_array_equal(frames[-1], draw_ordered(ink, 60, 80, 2.0))


def test_frames_follow_writing_order():
  two = Ink.from_arrays([[[10, 10], [50, 10]], [[10, 40], [50, 40]]])
  frames = ink_frames(two, 50, 60, 3.0, num_frames=4)
  assert len(frames) == 4
  assert not inked(frames[1])[30:].any()
  assert inked(frames[1])[10, 30] and inked(frames[3])[40, 30]


def test_the_gif_holds_the_same_growing_frames(ink, tmp_path):
  frames = ink_frames(ink, 60, 80, 2.0, num_frames=10)
  path = tmp_path / "ink.gif"
  write_gif(path, frames, frame_ms=50, last_ms=700)
  with Image.open(path) as gif:
    assert gif.n_frames == 10
    assert gif.info["loop"] == 0
    decoded, durations = [], []
    for index in range(10):
      gif.seek(index)
      durations.append(gif.info["duration"])
      decoded.append(np.asarray(gif.convert("RGB")))
  assert durations == [50] * 9 + [700]
  assert_growing(decoded)
  for frame, picture in zip(frames, decoded, strict=True):
    assert np.abs(frame.astype(int) - picture).mean() < 2


def test_empty_and_tiny_inks():
  (empty,) = ink_frames(Ink(), 8, 8)
  assert (empty == 255).all()
  (dot,) = ink_frames(Ink.from_arrays([[[4, 4]]]), 9, 9, 3.0)
  assert inked(dot)[4, 4]


def test_bad_requests_say_what_is_wrong(tmp_path):
  with pytest.raises(ValueError, match="at least one frame"):
    write_gif(tmp_path / "a.gif", [])
  frames = [np.zeros((4, 4, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)]
  with pytest.raises(ValueError, match="differ"):
    write_gif(tmp_path / "a.gif", frames)
  with pytest.raises(ValueError, match="1 frame"):
    ink_frames(Ink(), 4, 4, num_frames=0)
