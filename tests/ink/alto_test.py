"""What only ALTO has: blanks between words (the rest: page_xml_test)."""

import lxml.etree as etree

from inksight_jax.ink.alto import NAMESPACE, write_alto
from inksight_jax.ink.page import Page, Word


def blanks(*boxes) -> list[tuple[float, float]]:
  page = Page(200, 20, (tuple(Word(box, "a") for box in boxes),))
  root = etree.fromstring(write_alto(page).encode())
  return [
    (float(space.get("HPOS")), float(space.get("WIDTH")))
    for space in root.iter(f"{{{NAMESPACE}}}SP")
  ]


def test_blanks_lie_between_the_words():
  left, right = (10.0, 0.0, 50.0, 20.0), (80.0, 0.0, 120.0, 20.0)
  touching = (45.0, 0.0, 90.0, 20.0)
  assert blanks(left, right) == [(50, 30)]
  assert blanks(left, touching) == [(50, 0)]
  # From right to left.
  assert blanks(right, left) == [(50, 30)]
  assert blanks(left) == []
