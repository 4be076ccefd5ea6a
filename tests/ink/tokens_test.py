"""The codec against the published rule table, and against any stream."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.ink.types import Ink

CODEC = InkCodec()

cells = st.tuples(st.integers(0, 224), st.integers(0, 224))
strokes_of_cells = st.lists(st.lists(cells, max_size=6), max_size=5)


def arrays_on(canvas: int) -> st.SearchStrategy[list]:
  coordinate = st.floats(0, canvas)
  point = st.tuples(coordinate, coordinate)
  return st.lists(st.lists(point, min_size=1, max_size=8), max_size=4)


def published_decoder(ids: list[int]) -> list[list[tuple[int, int]]]:
  """InkSight's own reading, by position (google-research/inksight, N = 224)."""
  strokes, stroke = [], []
  position = 0
  while position < len(ids):
    if ids[position] == 450:
      strokes.append(stroke)
      stroke = []
      position += 1
    elif position + 1 == len(ids) or ids[position + 1] == 450:
      position += 1
    else:
      x, y = ids[position], ids[position + 1] - 225
      if 0 <= x <= 224 and 0 <= y <= 224:
        stroke.append((x, y))
      position += 2
  return [s for s in [*strokes, stroke] if s]


def as_lists(ink: Ink) -> list[list[tuple[int, int]]]:
  return [
    [(int(x), int(y)) for x, y in stroke.points] for stroke in ink.strokes
  ]


def well_formed(strokes: list[list[tuple[int, int]]]) -> list[int]:
  ids = []
  for stroke in strokes:
    ids.append(450)
    for x, y in stroke:
      ids += [x, 225 + y]
  return ids


def test_ids_of_the_rule_table():
  assert CODEC.num_ids == 451
  assert CODEC.stroke_start == 450
  # The example in InkSight's own figure: point (6, 32) is 450, 6, 257.
  assert CODEC.encode(Ink.from_arrays([[[6, 32]]])).tolist() == [450, 6, 257]
  corners = Ink.from_arrays([[[0, 0], [224, 224]]])
  assert CODEC.encode(corners).tolist() == [450, 0, 225, 224, 449]


def test_a_smaller_canvas_shares_the_layout():
  codec = InkCodec(64)
  assert codec.num_ids == 131
  ink = Ink.from_arrays([[[64, 0], [0, 64]]])
  assert codec.encode(ink).tolist() == [130, 64, 65, 0, 129]


@settings(deadline=None)
@given(strokes_of_cells, st.booleans(), st.integers(0, 224))
def test_reads_well_formed_streams_as_the_published_decoder(
  strokes, cut, last_x
):
  ids = well_formed(strokes) + ([last_x] if cut else [])
  assert as_lists(CODEC.decode(ids)) == published_decoder(ids)


@settings(deadline=None)
@given(strokes_of_cells)
def test_writes_what_the_published_decoder_reads(strokes):
  written = CODEC.encode(Ink.from_arrays([s for s in strokes if s])).tolist()
  expected = [[c for c, _ in itertools.groupby(s)] for s in strokes if s]
  assert published_decoder(written) == expected


@settings(deadline=None)
@given(st.data(), st.sampled_from([1, 7, 64, 224]))
def test_round_trip_moves_no_point_by_more_than_half_a_cell(data, canvas):
  ink = Ink.from_arrays(data.draw(arrays_on(canvas)))
  codec = InkCodec(canvas)
  ids = codec.encode(ink)
  assert ids.dtype == np.int32
  read = codec.decode(ids)
  assert len(read) == len(ink)
  for before, after in zip(ink.strokes, read.strokes, strict=True):
    gaps = np.abs(before.points[:, np.newaxis] - after.points).max(axis=2)
    assert (gaps.min(axis=1) <= 0.5).all()
    # In order: each point's cell is at or after the cell of the one before.
    position = 0
    for row in gaps:
      while row[position] > 0.5:
        position += 1
    assert gaps[-1, -1] <= 0.5
  # What was written once is a fixed point.
  assert codec.encode(read).tolist() == ids.tolist()


@settings(deadline=None)
@given(st.lists(st.integers(-10, 470) | st.integers()))
def test_any_stream_decodes_to_ink_on_the_canvas(ids):
  ink = CODEC.decode(ids)
  assert 2 * ink.num_points + len(ink) <= len(ids) + 1
  if ink:
    assert ink.points.min() >= 0
    assert ink.points.max() <= 224
    # Writing may merge repeated points but must accept all it reads.
    assert len(CODEC.decode(CODEC.encode(ink))) == len(ink)


def changed_points(before: Ink, after: Ink) -> int:
  """Points of the longer list outside the common prefix and suffix."""
  a, b = before.points.tolist(), after.points.tolist()
  prefix = 0
  while prefix < min(len(a), len(b)) and a[prefix] == b[prefix]:
    prefix += 1
  suffix = 0
  while (
    suffix < min(len(a), len(b)) - prefix and a[-1 - suffix] == b[-1 - suffix]
  ):
    suffix += 1
  return max(len(a), len(b)) - prefix - suffix


@settings(deadline=None)
@given(
  st.lists(st.lists(cells, min_size=2, max_size=6), min_size=1, max_size=4),
  st.integers(-5, 460).filter(lambda i: i != 450),
  st.data(),
)
def test_one_stray_or_missing_token_costs_one_point(strokes, stray, data):
  ids = well_formed(strokes)
  truth = CODEC.decode(ids)
  at = data.draw(st.integers(1, len(ids)))
  inserted = CODEC.decode([*ids[:at], stray, *ids[at:]])
  assert changed_points(truth, inserted) <= 1
  assert inserted.num_points == truth.num_points
  assert len(inserted) == len(truth)
  gone = data.draw(st.sampled_from([i for i, v in enumerate(ids) if v != 450]))
  removed = CODEC.decode(ids[:gone] + ids[gone + 1 :])
  assert changed_points(truth, removed) <= 1
  assert len(removed) == len(truth)


def test_points_before_the_first_start_are_a_stroke():
  assert as_lists(CODEC.decode([5, 230, 450, 6, 231])) == [[(5, 5)], [(6, 6)]]


def test_nothing_is_nothing_both_ways():
  ids = CODEC.encode(Ink())
  assert ids.shape == (0,)
  assert ids.dtype == np.int32
  assert not CODEC.decode(ids)
  assert not CODEC.decode([450, 450])


def test_dots_survive_and_cells_entered_twice_stay_twice():
  dot = Ink.from_arrays([[[3.2, 4.1], [3.4, 3.9]]])
  assert CODEC.encode(dot).tolist() == [450, 3, 229]
  back = Ink.from_arrays([[[3, 4], [5, 4], [3, 4]]])
  assert as_lists(CODEC.decode(CODEC.encode(back))) == [
    [(3, 4), (5, 4), (3, 4)]
  ]


@pytest.mark.parametrize("point", [[-0.01, 3], [3, 224.01], [1e30, 0]])
def test_points_off_the_canvas_are_refused_by_stroke(point):
  with pytest.raises(ValueError, match=r"Stroke 1 spans .* canvas 0\.\.224"):
    CODEC.encode(Ink.from_arrays([[[1, 1]], [[2, 2], point]]))


def test_rounding_noise_at_the_border_is_accepted():
  ink = Ink.from_arrays([[[-1e-9, 224 + 1e-9]]])
  assert CODEC.encode(ink).tolist() == [450, 0, 449]


def test_a_canvas_needs_a_cell():
  with pytest.raises(ValueError, match="at least 1 px; got 0"):
    InkCodec(0)


@settings(deadline=None)
@given(st.lists(st.integers(0, 450)))
def test_token_text_round_trip(ids):
  assert CODEC.from_text(CODEC.to_text(ids)) == ids


def test_token_text_skips_what_is_no_token():
  text = f"<extra_id_0> vin<ink_token_450><ink_token_{'9' * 5000}><ink_token_6>"
  assert CODEC.from_text(text) == [450, 6]
