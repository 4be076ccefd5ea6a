"""docTR and Tesseract behind the interface, and what is said without them."""

import shutil
import sys
import types

import numpy as np
import pytest

from inksight_jax.inference.segmentation.registry import make_segmenter

IMAGE = np.full((100, 200, 3), 255, np.uint8)


@pytest.mark.parametrize(
  ("name", "module", "wanted"),
  [
    ("tesseract", "pytesseract", r"pip install 'inksight-jax\[page\]'"),
    ("doctr", "doctr.models", r"pip install 'inksight-jax\[page\]'"),
  ],
)
def test_what_to_install_is_said(
  name: str, module: str, wanted: str, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.setitem(sys.modules, module, None)
  with pytest.raises(ValueError, match=wanted):
    make_segmenter(name)


def test_boxes_of_doctr_are_widened_and_blank_words_left_out(
  monkeypatch: pytest.MonkeyPatch,
):
  # Its data model: page, blocks, lines, words with shares of the page.
  def word(value: str, *geometry: tuple[float, float]) -> object:
    return types.SimpleNamespace(value=value, geometry=geometry)

  lines = [
    types.SimpleNamespace(words=[word("one", (0.1, 0.2), (0.3, 0.4))]),
    types.SimpleNamespace(
      words=[
        word(" ", (0.5, 0.5), (0.6, 0.6)),
        word("two", (0.9, 0.5), (1.0, 0.5), (1.0, 0.9), (0.9, 0.9)),
      ]
    ),
  ]
  page = types.SimpleNamespace(blocks=[types.SimpleNamespace(lines=lines)])
  models = types.ModuleType("doctr.models")
  document = types.SimpleNamespace(pages=[page])
  models.ocr_predictor = lambda pretrained: lambda images: document  # pyright: ignore[reportAttributeAccessIssue]
  monkeypatch.setitem(sys.modules, "doctr", types.ModuleType("doctr"))
  monkeypatch.setitem(sys.modules, "doctr.models", models)
  first, second = make_segmenter("doctr")(IMAGE)
  assert (first.text, first.line) == ("one", 0)
  assert first.box == pytest.approx((16, 18, 64, 42))
  assert (second.text, second.line) == ("two", 1)
  # A tenth of 20 and 40 pixels; the page ends at 200.
  assert second.box == pytest.approx((178, 46, 200, 94))


def test_doctr_without_its_models_says_so(monkeypatch: pytest.MonkeyPatch):
  def fail(pretrained: bool) -> None:
    raise OSError("no network")

  models = types.ModuleType("doctr.models")
  models.ocr_predictor = fail  # pyright: ignore[reportAttributeAccessIssue]
  monkeypatch.setitem(sys.modules, "doctr", types.ModuleType("doctr"))
  monkeypatch.setitem(sys.modules, "doctr.models", models)
  with pytest.raises(ValueError, match=r"no network.*DOCTR_CACHE_DIR"):
    make_segmenter("doctr")


def test_tesseract_finds_printed_words():
  pytest.importorskip("pytesseract")
  if not shutil.which("tesseract"):
    pytest.skip("the program tesseract is not installed")
  from PIL import Image, ImageDraw, ImageFont

  picture = Image.new("RGB", (600, 200), "white")
  pen = ImageDraw.Draw(picture)
  font = ImageFont.load_default(48)
  pen.text((30, 20), "hello world", "black", font=font)
  pen.text((30, 110), "again", "black", font=font)
  regions = make_segmenter("tesseract")(np.asarray(picture))
  assert [region.text for region in regions] == ["hello", "world", "again"]
  assert [region.line for region in regions] == [0, 0, 1]
  boxes = [pen.textbbox((30, y), t, font=font)
           for y, t in ((20, "hello"), (110, "again"))]  # fmt: skip
  for box, region in zip(boxes, regions[::2], strict=True):
    np.testing.assert_allclose(region.box, box, atol=6)
