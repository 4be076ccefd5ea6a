"""The points of an InkML trace, in the standard's notation and in others.

The standard (www.w3.org/TR/InkML, section 3.2.1) separates points by commas
and lets a value be explicit (`!`), a difference to the previous value (`'`) or
a difference of differences (`"`); the prefix holds for the channel until the
next one. `*` repeats a value, `?` is an unknown one, `T` and `F` are booleans
and `#` starts a hexadecimal number.
"""

from __future__ import annotations

import math
import re

_NUMBER = r"#[0-9A-Fa-f]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_VALUE = re.compile(rf"([!'\"]?)\s*(?:(-?)\s*({_NUMBER})|([TF*?]))\s*")
# What only the standard's notation has, a minus that separates included.
_STANDARD_ONLY = re.compile(r"[!'\"*?#TF]|[\d.]-")
_ORDERS = {"!": 0, "'": 1, '"': 2}


class _Channel:
  """One channel along a trace: how its next value is to be understood."""

  def __init__(self) -> None:
    self.order = 0
    self.value = math.nan
    self.velocity = 0.0

  def next(self, prefix: str, number: float) -> float:
    """Takes a number as written; returns the value it stands for."""
    if prefix:
      self.order = _ORDERS[prefix]
    if self.order == 0:
      value = number
    elif math.isnan(self.value):
      raise ValueError("a difference comes before any explicit value")
    else:
      change = number + (self.velocity if self.order == 2 else 0.0)
      value = self.value + change
    # The first value has no predecessor to differ from.
    self.velocity = 0.0 if math.isnan(self.value) else value - self.value
    self.value = value
    return value

  def repeat(self) -> float:
    """`*`: the value of the point before."""
    self.velocity = 0.0
    return self.value


def _number(sign: str, digits: str) -> float:
  magnitude = int(digits[1:], 16) if digits[0] == "#" else float(digits)
  return -float(magnitude) if sign else float(magnitude)


def _standard_point(text: str, channels: list[_Channel]) -> list[float]:
  """Reads the values of one point; grows `channels` as needed."""
  values: list[float] = []
  position = 0
  text = text.strip()
  while position < len(text):
    match = _VALUE.match(text, position)
    if match is None:
      raise ValueError(
        f"could not convert {text[position : position + 20]!r} to a value"
      )
    position = match.end()
    prefix, sign, digits, mark = match.groups()
    if len(values) == len(channels):
      channels.append(_Channel())
    channel = channels[len(values)]
    if digits:
      values.append(channel.next(prefix, _number(sign, digits)))
    elif mark in "TF":
      values.append(float(mark == "T"))
    else:
      values.append(channel.repeat() if mark == "*" else math.nan)
  return values


def _plain_rows(text: str) -> list[list[str]]:
  """Rows of number strings, whichever side of the points the commas are on."""
  groups = [group.split() for group in text.split(",")]
  # In `x y, x y` the text before the first comma is a whole point; in
  # `x,y x,y` it is one number.
  if len(groups[0]) != 1:
    return [group for group in groups if group]
  return [
    [number for number in token.split(",") if number]
    for token in text.split()
    if token.strip(",")
  ]


def parse_points(text: str) -> list[list[float]]:
  """Reads the points of a trace.

  Args:
    text: `x y, x y` or `x,y x,y`, with more values per point where the
      document has more channels; or the standard's difference notation.

  Returns:
    The values of each point in channel order. Rows may differ in length;
    unknown values are NaN. Empty points are left out.

  Raises:
    ValueError: something is no value.
  """
  if _STANDARD_ONLY.search(text):
    channels: list[_Channel] = []
    rows = [_standard_point(point, channels) for point in text.split(",")]
    return [row for row in rows if row]
  return [[float(word) for word in row] for row in _plain_rows(text)]
