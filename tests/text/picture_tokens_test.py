"""Grids of codes as sequences, there and back; nothing else is a picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.text.picture_tokens import (
  FIRST_CODE,
  PADDING,
  ROW,
  START,
  PictureCodec,
  share_parsed,
)

CODEC = PictureCodec(num_codes=5, length=12)


def test_a_grid_is_rows_behind_row_tokens_and_padding():
  ids = CODEC.encode(np.array([[4, 0, 2], [1, 1, 3]]))
  assert ids.tolist() == [1, 7, 3, 5, 1, 4, 4, 6, 2, 2, 2, 2]
  assert ids.dtype == np.int32
  assert CODEC.num_ids == 8


@given(
  st.integers(1, 40).flatmap(
    lambda rows: st.tuples(
      st.just(rows), st.integers(1, 30), st.integers(0, 2**32 - 1)
    )
  )
)
@settings(max_examples=60, deadline=None)
def test_any_grid_comes_back(case):
  rows, columns, seed = case
  codec = PictureCodec(16384, rows * (columns + 1) + seed % 3)
  codes = np.random.default_rng(seed).integers(0, 16384, (rows, columns))
  np.testing.assert_array_equal(codec.decode(codec.encode(codes)), codes)


def test_one_column_and_one_row_are_told_apart():
  column, row = np.array([[1], [2], [3]]), np.array([[1, 2, 3]])
  assert CODEC.decode(CODEC.encode(column)).shape == (3, 1)
  assert CODEC.decode(CODEC.encode(row)).shape == (1, 3)


@given(st.lists(st.integers(-1, 8), min_size=11, max_size=13))
@settings(max_examples=300, deadline=None)
def test_what_is_read_is_written_the_same_way(ids):
  try:
    codes = CODEC.decode(ids)
  except ValueError:
    return
  assert CODEC.encode(codes).tolist() == ids


@pytest.mark.parametrize(
  ("ids", "message"),
  [
    ([ROW, 3], "2 tokens are no picture; it has 12"),
    ([3] * 12, "Token 0 is no ROW"),
    ([PADDING] * 12, "Token 0 is no ROW"),
    ([ROW] + [PADDING] * 11, "hold a code"),
    ([ROW, 3, PADDING, 4] + [PADDING] * 8, "Token 3 .* behind PAD"),
    ([ROW, 3, 4, ROW, 3] + [PADDING] * 7, "5 tokens before PAD"),
    ([ROW, 3, 4, ROW, ROW, 4] + [PADDING] * 6, "Token 4 .* rhythm of 3"),
    ([ROW, 3, START] + [PADDING] * 9, "Token 2 .* outside the codebook"),
    ([ROW, 3, 8] + [PADDING] * 9, "Token 2 .* outside the codebook"),
  ],
)
def test_what_is_no_picture_is_named(ids, message):
  with pytest.raises(ValueError, match=message):
    CODEC.decode(ids)


@pytest.mark.parametrize(
  ("codes", "message"),
  [
    (np.zeros((2, 6), int), r"r \* \(c \+ 1\)"),
    (np.zeros((0, 3), int), "no picture"),
    (np.zeros(4, int), "no picture"),
    (np.full((1, 2), 5), "codebook has 5"),
    (np.full((1, 2), -1), "codebook has 5"),
  ],
)
def test_what_does_not_fit_is_refused(codes, message):
  with pytest.raises(ValueError, match=message):
    CODEC.encode(codes)
  with pytest.raises(ValueError, match="at least 1 code"):
    PictureCodec(0, 12)


def test_the_share_of_pictures_is_counted():
  good = CODEC.encode(np.array([[1, 2]]))
  bad = np.full(12, FIRST_CODE)
  assert share_parsed(CODEC, [good, bad, good, good]) == 0.75
  assert np.isnan(share_parsed(CODEC, []))
