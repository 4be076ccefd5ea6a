"""Picture sheets keep every picture pixel by pixel and every caption."""

import numpy as np
import pytest

from inksight_jax.rendering.sheet import printable, tile


def find(sheet, picture):
  """Number of places where `picture` lies in `sheet`, by brute force."""
  height, width = picture.shape[:2]
  windows = np.lib.stride_tricks.sliding_window_view(
    sheet, (height, width), axis=(0, 1)
  )
  return int((windows == picture.transpose(2, 0, 1)).all((2, 3, 4)).sum())


def pictures(*shapes):
  rng = np.random.default_rng(0)
  return [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in shapes]


def test_every_picture_is_there_once():
  first, second, third = pictures((10, 12), (7, 20), (15, 5))
  sheet = tile([[first, second], [third]], ["one", "two"], min_side=1)
  for picture in (first, second, third):
    assert find(sheet, picture) == 1


def test_small_pictures_are_enlarged_by_whole_factors():
  (picture,) = pictures((5, 8))
  sheet = tile([[picture]], min_side=20)
  assert find(sheet, picture.repeat(2, 0).repeat(2, 1)) == 1


def test_grey_pictures_are_taken():
  grey = pictures((6, 6))[0][:, :, 0]
  sheet = tile([[grey]], min_side=1)
  assert find(sheet, np.repeat(grey[:, :, None], 3, 2)) == 1


def test_captions_and_titles_leave_ink_and_long_ones_wrap():
  (picture,) = pictures((40, 60))
  bare = tile([[picture]], min_side=1)
  short = tile([[picture]], ["abc"], min_side=1)
  long = tile([[picture]], ["abc " * 20], min_side=1)
  titled = tile([[picture]], titles=["input"], min_side=1)
  each = tile([[picture, picture]], [["left", "right"]], min_side=1)
  assert bare.shape[0] < short.shape[0] < long.shape[0]
  assert bare.shape[0] < titled.shape[0]
  assert bare.shape[1] == short.shape[1] == long.shape[1]
  assert (short[bare.shape[0] - 6 :] < 128).any()
  halves = np.array_split(each[-20:], 2, axis=1)
  assert all((half < 128).any() for half in halves)


def test_any_script_becomes_ascii_and_stays_distinct():
  words = ["naïve", "Größe", "漢字", "漢子", "ভাষা", "a\tb", "😀"]
  drawn = [printable(word) for word in words]
  assert all(word.isascii() and word.isprintable() for word in drawn)
  assert len(set(drawn)) == len(words)
  assert drawn[0] == "naive"
  tile([pictures((9, 9))], ["".join(words)])


def test_bad_sheets_are_refused():
  (picture,) = pictures((4, 4))
  with pytest.raises(ValueError, match="at least one"):
    tile([[]])
  with pytest.raises(ValueError, match="2 captions for 1 rows"):
    tile([[picture]], ["a", "b"])
  with pytest.raises(ValueError, match="1 captions for 2 pictures"):
    tile([[picture, picture]], [["a"]])
  with pytest.raises(ValueError, match="channels"):
    tile([[np.zeros((4, 4, 2), np.uint8)]])


def test_pages_are_shrunk_and_keep_their_shape():
  page = np.full((1600, 800, 3), 255, np.uint8)
  page[800:] = 0
  sheet = tile([[page]], max_side=160)
  dark = np.argwhere((sheet == 0).all(axis=2))
  height, width = dark.max(axis=0) - dark.min(axis=0) + 1
  assert (height, width) == (80, 80)
