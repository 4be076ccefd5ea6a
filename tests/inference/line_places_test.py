"""Lines get the places that a segmenter finds, if it finds as many."""

import re

import numpy as np

from inksight_jax.inference.line_places import place_lines
from inksight_jax.inference.results import Result
from inksight_jax.inference.segmentation.types import WordRegion
from inksight_jax.ink.types import Ink

PAGE = np.full((60, 100, 3), 255, np.uint8)


def result(text: str) -> Result:
  return Result(
    task="recognize_page",
    text=text,
    ink=Ink(),
    confidence=0.5,
    tokens=np.zeros(1, np.int32),
    log_probs=np.zeros(1, np.float32),
    truncated=False,
    empty=False,
    width=100,
    height=60,
    character_confidences=(0.5,) * len(text),
  )


def two_lines(_) -> list[WordRegion]:
  boxes = [(40, 31, 70, 50), (5, 5, 30, 20), (5, 30, 35, 48), (9, 9, 9, 9)]
  return [WordRegion(tuple(map(float, box))) for box in boxes]


def test_as_many_lines_are_taken_in_order():
  placed = place_lines(result("a b\nc"), PAGE, two_lines)
  assert placed.line_boxes == ((5, 5, 30, 20), (5, 30, 70, 50))
  assert placed.to_dict()["lines"][1] == {
    "text": "c",
    "confidence": 0.5,
    "box": [5.0, 30.0, 70.0, 50.0],
  }
  xml = placed.to_pagexml()
  outlines = re.findall(r'<TextLine.*?points="(.*?)"', xml, re.DOTALL)
  assert outlines == ["5,5 29,5 29,19 5,19", "5,30 69,30 69,49 5,49"]


def test_another_number_of_lines_leaves_places_open():
  for text in ("a", "a\nb\nc", "", "a\n\nb"):
    answer = result(text)
    assert place_lines(answer, PAGE, two_lines) is answer
  unplaced = result("a\nb")
  xml = unplaced.to_pagexml()
  assert "TextLine" not in xml and 'points="0,0 99,0 99,59 0,59"' in xml
  assert "<Unicode>a\nb</Unicode>" in xml and 'conf="0.2500"' in xml
  alto = unplaced.to_alto()
  assert alto.count("<TextLine ") == 2
  assert not re.search(r"<(TextLine|String)[^>]*POS=", alto)
