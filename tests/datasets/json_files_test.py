"""Streaming JSON: equal to the library's answer, and proof against floods."""

import gzip
import json
import pathlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inksight_jax.datasets import json_files
from inksight_jax.datasets.json_files import (
  json_members,
  load_json,
  numbers,
  polygon,
)

VALUES = st.recursive(
  st.none() | st.booleans() | st.integers() | st.text() | st.floats(-9, 9),
  lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
  max_leaves=8,
)


# A number that a piece cuts off behind its point.
@example(value={"0\x07\U00010000": 1.1379751144591786e-20}, indent=None)
@given(
  value=st.dictionaries(st.text(max_size=3), VALUES),
  indent=st.sampled_from([None, 1]),
)
@settings(max_examples=20, deadline=None)
def test_members_are_those_of_the_library(tmp_path_factory, value, indent):
  path = tmp_path_factory.mktemp("j") / "a.json"
  path.write_text(
    json.dumps({"x": [value], "wanted": value, "y": 1}, indent=indent), "utf-8"
  )
  chunk, json_files._CHUNK = json_files._CHUNK, 3  # tokens cross the pieces
  try:
    assert dict(json_members(path, "wanted")) == value
    assert [v for _, v in json_members(path, "x")] == [value]
    whole = [k for k, _ in json_members(path, None)]
  finally:
    json_files._CHUNK = chunk
  assert whole == ["x", "wanted", "y"]


def test_gzip_is_seen_by_its_first_bytes(tmp_path: pathlib.Path):
  path = tmp_path / "a.jsonl"
  path.write_bytes(gzip.compress(b'{"a": [1, 2]}'))
  assert list(json_members(path, "a")) == [("0", 1), ("1", 2)]


@pytest.mark.parametrize(
  ("content", "message"),
  [
    (b"", "the end of the file"),
    (b"[1, 2]", "has no 'a'"),
    (b'{"a": [1, 2', "cut off|the end of the file"),
    (b'{"a": [1 2]}', "'2' where one of"),
    (b'{"a": ["\xff"]}', "utf-8"),
    (b'{"b": 1}', "has no 'a'"),
    (b'{"a": [' + b"[" * 10**6, "nested too deeply|one item is larger"),
    (b'{"a": [1' + b"0" * 10**7, "one item is larger|not JSON"),
    (b'{"a": "' + b"x" * 10**7, "should be|larger"),
    (b'{"a": [' + b" " * 10**7, "larger"),
    (b'{"a": [NaN]}', "not JSON"),
    (gzip.compress(b'{"a": [' + b"1," * 10**5)[:-9], "damaged or cut off"),
    (gzip.compress(b" " * 10**7), "larger"),
  ],
)
def test_broken_files_are_named_soon(
  tmp_path: pathlib.Path, limits, content: bytes, message: str
):
  path = tmp_path / "a.json"
  path.write_bytes(content)
  with limits(), pytest.raises(ValueError, match=message) as caught:
    list(json_members(path, "a"))
  assert "a.json" in str(caught.value)


@pytest.mark.parametrize(
  "content", [b"{", b"\xff", b"[" * 10**5, b"[NaN]", b" " * 2**23]
)
def test_small_files_are_checked_too(tmp_path: pathlib.Path, limits, content):
  path = tmp_path / "a.json"
  path.write_bytes(content)
  with limits(), pytest.raises(ValueError, match=r"a\.json"):
    load_json(path)


def test_numbers_and_polygons():
  assert numbers([1, 2.5], 2) == (1.0, 2.5)
  for bad in (None, [1], [1, "2"], [1, True], [1, float("nan")], [1, 10**400]):
    with pytest.raises(ValueError, match="is not 2 numbers"):
      numbers(bad, 2)
  assert polygon([[0, 0], {"x": 1, "y": 2}, [3, 4]]) == [(0, 0), (1, 2), (3, 4)]
  for bad in ([[0, 0]] * 2, [[0, 0]] * 1001, [1, 2, 3], {}):
    with pytest.raises(ValueError, match="is not"):
      polygon(bad)
