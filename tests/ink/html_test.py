"""The player: self-contained, complete without script, played in a browser."""

import dataclasses
import html.parser
import pathlib
import re

import numpy as np
import pytest

from inksight_jax.ink.html import write_html
from inksight_jax.ink.page import Page, Word
from inksight_jax.ink.types import Ink

VISIBLE = (
  "[...document.querySelectorAll('#stage polyline')].filter(e => "
  "e.style.visibility === 'visible' && "
  "parseFloat(e.style.strokeDashoffset || 0) < 1).length"
)
CURRENT = "document.querySelector('#words [aria-current]')?.dataset.text"


class Addresses(html.parser.HTMLParser):
  """Collects everything that a browser would load."""

  def __init__(self) -> None:
    super().__init__()
    self.found: list[str] = []

  def handle_starttag(self, tag, attrs):
    names = ("src", "href", "data", "poster", "srcset", "action")
    self.found += [value for name, value in attrs if name in names]


@pytest.fixture
def player(page, pictures, tmp_path: pathlib.Path) -> pathlib.Path:
  path = tmp_path / "player.html"
  page = dataclasses.replace(page, picture=pictures["jpeg"])
  path.write_text(write_html(page), encoding="utf-8")
  return path


def test_nothing_is_loaded_from_elsewhere(player: pathlib.Path):
  document = player.read_text(encoding="utf-8")
  parser = Addresses()
  parser.feed(document)
  assert [a[:16] for a in parser.found] == ["data:image/jpeg;"]
  assert "default-src 'none'" in document
  assert not re.search(r"https?://|@import|url\(", document)


def test_ink_and_words_stand_in_the_document_itself(page: Page):
  document = write_html(page, "A & B")
  lines = re.findall(r'<polyline [^>]*points="([^"]*)"', document)
  assert len(lines) == len(page.ink)
  for line, stroke in zip(lines, page.ink.strokes, strict=True):
    points = [[float(v) for v in p.split(",")] for p in line.split()]
    np.testing.assert_allclose(points[: len(stroke)], stroke.points, atol=0.006)
  assert "<title>A &amp; B</title>" in document
  assert 'data-text="a &lt; b"' in document
  assert "{{" not in document


def test_what_was_read_cannot_become_code():
  evil = '"><script>alert(1)</script>{{words}}</title>\x00'
  word = Word((0.0, 0.0, 9.0, 9.0), evil, Ink.from_arrays([[[1, 1], [5, 5]]]))
  document = write_html(Page(10, 10, ((word,),), 1.0, None, evil), evil)
  assert document.count("<script>") == 1
  assert document.count("{{words}}") == 5
  assert "\x00" not in document


@pytest.mark.parametrize("lines", [(), ((Word((0.0, 0.0, 1.0, 1.0)),),)])
def test_no_words_or_no_ink_is_a_document_too(lines, browser, tmp_path):
  path = tmp_path / "empty.html"
  path.write_text(write_html(Page(8, 8, lines)), encoding="utf-8")
  browser.open(path)
  for key in ("ArrowRight", " ", "ArrowLeft", "End"):
    browser.press(key)
  browser.wait("document.getElementById('play').textContent === 'Play'")


def test_playing_writes_stroke_after_stroke(player, browser):
  browser.open(player)
  total = browser.evaluate(VISIBLE)
  assert total == 10  # Complete at first.
  browser.press(" ")
  browser.wait(f"{VISIBLE} < 3")
  browser.wait(f"{VISIBLE} >= 2")
  browser.press(" ")
  paused = browser.evaluate("document.getElementById('time').value")
  count = browser.evaluate(VISIBLE)
  assert 1 < count < total
  assert browser.evaluate("document.getElementById('time').value") == paused
  browser.evaluate("document.getElementById('speed').value = '10'")
  browser.press(" ")
  browser.wait("document.getElementById('play').textContent === 'Play'")
  assert browser.evaluate(VISIBLE) == total


def test_keys_and_buttons_step_through_the_words(player, browser, tmp_path):
  browser.open(player, prefers_reduced_motion="reduce")
  for text, strokes in (("hello", 2), ("wörld", 4), ("漢字", 6)):
    browser.press("ArrowRight")
    assert (browser.evaluate(CURRENT), browser.evaluate(VISIBLE)) == (
      text,
      strokes,
    )
  assert "Word 3 of 5" in browser.evaluate(
    "document.getElementById('now').textContent"
  )
  browser.press("ArrowLeft")
  assert browser.evaluate(CURRENT) == "wörld"
  browser.press("End")
  assert browser.evaluate(CURRENT) == "a < b"
  assert browser.evaluate("document.getElementById('next').disabled")
  browser.evaluate("document.getElementById('previous').click()")
  assert browser.evaluate(CURRENT) == "नमस्ते"
  browser.evaluate("document.querySelector('#words button').click()")
  assert (browser.evaluate(CURRENT), browser.evaluate(VISIBLE)) == ("hello", 2)
  browser.evaluate(
    "document.querySelectorAll('#stage rect')[2].dispatchEvent("
    "new MouseEvent('click', {bubbles: true}))"
  )
  assert browser.evaluate(CURRENT) == "漢字"


def test_without_reduced_motion_a_step_plays_the_word(player, browser):
  browser.open(player)
  browser.press("ArrowRight")
  browser.press("ArrowRight")
  # The second word begins with the first one standing.
  browser.wait(f"{VISIBLE} >= 2")
  browser.wait("document.getElementById('play').textContent === 'Play'")
  assert (browser.evaluate(CURRENT), browser.evaluate(VISIBLE)) == ("wörld", 4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_color_schemes_are_readable(player, browser, tmp_path, scheme):
  browser.open(
    player, prefers_color_scheme=scheme, prefers_reduced_motion="reduce"
  )
  browser.press("ArrowRight")
  image = browser.screenshot(tmp_path / f"{scheme}.png").astype(int)
  corner = image[2, 2].mean()
  assert corner > 200 if scheme == "light" else corner < 60
  # WCAG 2.2: text needs a contrast of 4.5.
  contrast = browser.evaluate("""(() => {
    const level = (color) => {
      const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((v) => {
        v /= 255;
        return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
      });
      return .2126 * r + .7152 * g + .0722 * b;
    };
    const ground = (e) => {
      const color = getComputedStyle(e).backgroundColor;
      return /, 0\\)|transparent/.test(color) ? ground(e.parentElement) : color;
    };
    const elements = document.querySelectorAll(
      'h1, h2, p, button:not(:disabled), #words span, label, select');
    return Math.min(...[...elements].map((e) => {
      const pair = [getComputedStyle(e).color, ground(e)].map(level).sort();
      return (Math.max(...pair) + .05) / (Math.min(...pair) + .05);
    }));
  })()""")
  assert contrast >= 4.5


def test_the_ink_lies_on_the_photo(player, browser, tmp_path):
  browser.open(player)
  browser.evaluate("document.getElementById('order').click()")
  box = browser.evaluate("""(() => {
    const r = document.getElementById('stage').getBoundingClientRect();
    return [r.left, r.top, r.width, r.height];
  })()""")
  image = browser.screenshot(tmp_path / "a.png").astype(int)
  left, top, width, height = (round(v) for v in box)
  stage = image[top : top + height, left : left + width]
  blue = np.argwhere(stage[..., 2] - stage[..., 0] > 50)
  scale = width / 600
  # First wave: x 50..150, y 30..80 and its dot at y 18, line width 4.
  first = blue[blue[:, 1] < 180 * scale]
  first = first[first[:, 0] < 95 * scale]
  np.testing.assert_allclose(first.min(0) / scale, [16.5, 48.5], atol=1.5)
  np.testing.assert_allclose(first.max(0) / scale, [82.5, 152.5], atol=1.5)


def test_every_control_has_a_name(player, browser):
  browser.open(player)
  nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
  roles = {}
  for node in nodes:
    if not node.get("ignored"):
      roles.setdefault(node["role"]["value"], []).append(
        node.get("name", {}).get("value", "")
      )
  named = [
    *roles["button"],
    *roles["slider"],
    *roles["checkbox"],
    *roles["combobox"],
    *roles["image"],
    *roles["navigation"],
  ]
  assert all(named) and len(roles["button"]) == 3 + 5
  assert {"Time", "Photo"} <= set(roles["slider"])
