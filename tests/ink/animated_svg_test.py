"""Animated SVG: the same ink as the still one, appearing in order."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from inksight_jax.ink.animated_svg import write_animated_svg
from inksight_jax.ink.page import Page
from inksight_jax.ink.timing import spans

SVG = "{http://www.w3.org/2000/svg}"


def test_without_animation_it_is_the_finished_ink(page):
  root = ElementTree.fromstring(write_animated_svg(page))
  assert root.get("viewBox") == "-0.5 -0.5 600 200"
  lines = list(root.iter(f"{SVG}polyline"))
  for line, stroke in zip(lines, page.ink.strokes, strict=True):
    points = [
      [float(v) for v in p.split(",")] for p in line.get("points").split()
    ]
    np.testing.assert_allclose(points[: len(stroke)], stroke.points, atol=0.006)
    # A fraction of no length would not be drawn.
    assert (line.get("pathLength") == "1") == (len(stroke) > 1)


def test_key_frames_follow_the_times(page):
  document = write_animated_svg(page)
  total = float(re.search(r"animation:([\d.]+)s linear infinite", document)[1])
  found = re.findall(r"@keyframes k(\d+)\{0%,([\d.]+)%.*?\}([\d.]+)%", document)
  for (index, start, end), time in zip(found, spans(page), strict=True):
    assert float(start) * total / 100 == pytest.approx(time.start, abs=1e-3)
    if len(page.ink.strokes[int(index)]) > 1:
      assert float(end) * total / 100 == pytest.approx(time.end, abs=1e-3)


def test_no_ink_and_a_photo_are_documents(page, pictures):
  empty = write_animated_svg(Page(5, 5, ()))
  assert "<polyline" not in empty and ElementTree.fromstring(empty) is not None
  root = ElementTree.fromstring(
    write_animated_svg(dataclasses.replace(page, picture=pictures["jpeg"]))
  )
  (image,) = root.iter(f"{SVG}image")
  assert image.get("href").startswith("data:image/jpeg;base64,")


def inked(image: np.ndarray) -> np.ndarray:
  """Which columns of each half hold coloured ink, bool[2, width]."""
  colored = image.astype(int).max(2) - image.astype(int).min(2) > 60
  return np.stack([colored[:95].any(0), colored[95:].any(0)])


def test_a_browser_shows_it_being_written(page, browser, tmp_path):
  path = tmp_path / "a.svg"
  path.write_text(write_animated_svg(page), encoding="utf-8")
  times = spans(page)
  browser.open(path, 600, 200)

  def at(seconds: float) -> np.ndarray:
    browser.evaluate(
      "document.getAnimations().forEach(a => {a.pause(); "
      f"a.currentTime = {1000 * seconds}}})"
    )
    return inked(browser.screenshot(tmp_path / "a.png"))

  assert not at(0.0).any()
  # In the middle of the third stroke: the first word whole, half the second.
  top, bottom = at((times[2].start + times[2].end) / 2)
  assert top[48:152].all() and not bottom.any()
  columns = np.flatnonzero(top[160:]) + 160
  assert columns.min() == pytest.approx(228, abs=2)
  assert columns.max() == pytest.approx(280, abs=4)
  complete = at(times[-1].end + 0.1)
  browser.open(path, 600, 200, prefers_reduced_motion="reduce")
  still = inked(browser.screenshot(tmp_path / "b.png"))
  assert (complete == still).all() and complete.sum() > 500
