"""Pages of words: what stands on them is what their text says."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.ink.types import Ink
from inksight_jax.rendering.paragraph import (
  ParagraphStyle,
  Piece,
  line_text,
  set_paragraph,
  shrink,
)

PLAIN = ParagraphStyle(
  size=(8.0, 8.0),
  pitch=(3.0, 3.0),
  gap=(1.0, 1.0),
  margin=(1.0, 1.0),
  wobble=0.0,
)


def box(text: str = "box", wide: float = 40.0, high: float = 20.0) -> Piece:
  corners = [(0, 0), (wide, 0), (wide, high), (0, high), (0, 0)]
  return Piece(text, Ink.from_arrays([np.array(corners, float)]))


def crop(text: str, wide: int = 30, paper: int = 200) -> Piece:
  image = np.full((20, wide, 3), paper, np.uint8)
  image[5:15, 5:-5] = 40
  return Piece(text, image=image)


def dark_runs(profile: np.ndarray) -> int:
  """Number of stretches without a gap."""
  return int(np.count_nonzero(np.diff(np.pad(profile, 1).astype(int)) == 1))


@pytest.mark.parametrize("piece", [box("a"), crop("a")])
def test_lines_and_words_are_where_the_text_says(piece):
  page, texts = set_paragraph(
    [[piece] * 3, [piece] * 2], (120, 200), PLAIN, np.random.default_rng(0)
  )
  assert texts == ["a a a", "a a"]
  dark = (page < 128).any(2)
  assert dark_runs(dark.any(1)) == 2
  rows = np.flatnonzero(dark.any(1))
  middle = (rows[0] + rows[-1]) // 2
  assert dark_runs(dark[:middle].any(0)) == 3
  assert dark_runs(dark[middle:].any(0)) == 2
  # No larger than it needs to be, and with a border.
  assert page.shape[0] < 120 and page.shape[1] < 200
  assert not dark[:3].any() and not dark[-3:].any()


def test_what_has_no_room_is_neither_drawn_nor_read():
  rng = np.random.default_rng(0)
  page, texts = set_paragraph([[box("a")] * 9] * 9, (60, 90), PLAIN, rng)
  assert page.shape[0] <= 60 and page.shape[1] <= 90
  assert 1 <= len(texts) < 9 and all(1 <= len(t.split()) < 9 for t in texts)
  dark = (page < 128).any(2)
  assert dark_runs(dark.any(1)) == len(texts)
  page, texts = set_paragraph([[box("a")]], (5, 5), PLAIN, rng)
  assert texts == []


def test_words_of_a_writer_are_brought_to_size_together():
  small = dataclasses.replace(box("a", 40, 20), writer="one")
  large = dataclasses.replace(box("b", 400, 200), writer="two")
  page, _ = set_paragraph(
    [[small], [large]], (200, 200), PLAIN, np.random.default_rng(0)
  )
  dark = (page < 128).any(2)
  rows = np.flatnonzero(dark.any(1))
  middle = (rows[0] + rows[-1]) // 2
  heights = [
    np.ptp(np.flatnonzero(part.any(1)))
    for part in (dark[:middle], dark[middle:])
  ]
  assert abs(int(heights[0]) - int(heights[1])) <= 2


def test_marks_stand_where_they_belong():
  words = [crop("ab", 40), crop(",", 14), crop("cd", 40)]
  page, texts = set_paragraph(
    [words], (80, 200), PLAIN, np.random.default_rng(0)
  )
  assert texts == ["ab, cd"]
  dark = (page < 128).any(2)
  columns = np.flatnonzero(np.diff(np.pad(dark.any(0), 1).astype(int)))
  spans = columns.reshape(-1, 2)
  tops = [np.flatnonzero(dark[:, a:b].any(1))[0] for a, b in spans]
  # The comma hangs lower and nearer to its word than the next word.
  assert tops[1] > tops[0] == tops[2]
  assert spans[1][0] - spans[0][1] < spans[2][0] - spans[1][1]


def test_the_text_is_as_one_would_type_it():
  words = ["He", "said", ",", '"', "Yes", "(", "no", ")", "!", '"']
  assert line_text(words) == 'He said, "Yes (no)!"'
  assert line_text(["1", "2"], "") == "12"


def test_crops_of_any_paper_lie_on_the_page_without_a_seam():
  page, _ = set_paragraph(
    [[crop("a", paper=150), crop("b", paper=250)]],
    (60, 120),
    PLAIN,
    np.random.default_rng(0),
  )
  assert (page[0] == 255).all() and np.median(page) == 255
  assert set(np.unique(page)) <= {255, *range(35, 80)}


def test_a_page_is_the_same_for_the_same_draws():
  style = dataclasses.replace(
    PLAIN, coloured=True, light=1.0, grain=8.0, slope=2.0, indent=3.0
  )
  pages = [
    set_paragraph([[box()] * 3] * 2, (90, 160), style, np.random.default_rng(n))
    for n in (1, 1, 2)
  ]
  np.testing.assert_array_equal(pages[0][0], pages[1][0])
  assert (
    pages[0][0].shape != pages[2][0].shape or (pages[0][0] != pages[2][0]).any()
  )


def test_crops_shrink_and_ranges_are_checked():
  assert shrink(np.zeros((10, 21, 3), np.uint8), 0.5).shape == (5, 10, 3)
  with pytest.raises(ValueError, match="gap"):
    ParagraphStyle(gap=(2.0, 1.0))


def test_one_hand_becomes_many_but_not_its_height():
  still = dataclasses.replace(PLAIN, lean=0.0)
  moved = dataclasses.replace(PLAIN, lean=0.4, stretch=0.3)
  pages = [
    set_paragraph([[box()]], (90, 160), style, np.random.default_rng(n))[0]
    for style, n in ((still, 0), (moved, 1), (moved, 2))
  ]
  # Of a frame, the upright lines lean; up and down stay where they are.
  assert len({page.shape[0] for page in pages}) == 1
  assert len({page.shape[1] for page in pages}) == 3
  for page, upright in zip(pages, (True, False, False), strict=True):
    dark = (page < 128).all(2)
    rows = np.flatnonzero(dark.any(1))
    # The corners are round.
    first = [np.flatnonzero(dark[row])[0] for row in rows[4:-4]]
    assert (np.ptp(first) == 0) == upright
    assert len(set(np.sign(np.diff(first))) - {0}) <= 1
