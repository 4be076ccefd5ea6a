"""Pages through the real pipeline, with models whose answers are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from inksight_jax.inference import pages
from inksight_jax.inference.page import PageResult
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.requests import Prepared
from inksight_jax.inference.results import Result
from inksight_jax.inference.segmentation.types import WordRegion
from inksight_jax.ink.page import Page
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.handwriting import HandwritingConfig, write_word
from inksight_jax.rendering.pages import (
  PageStyle,
  compose_page,
  small_letter_height,
)

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "lazy", "dogs")


@pytest.fixture(scope="module")
def page() -> tuple[np.ndarray, Page]:
  rng = np.random.default_rng(3)
  words = [(w, write_word(w, rng, HandwritingConfig())) for w in WORDS]
  scale = 22 / np.median([small_letter_height(ink) for _, ink in words])
  words = [(text, ink.scaled(scale)) for text, ink in words]
  style = PageStyle(1000, 500, 60, gap=(1.6, 2.0), rules="lines", skew=1.0)
  image, page, _ = compose_page(words, style, rng)
  return image, page


class KnownInk(Predictor):
  """Knows the ink of the page and returns it in the frame of each crop."""

  def __init__(self, model: Predictor, missing: str = "") -> None:
    self.tasks = model.tasks
    self.batch_size = 3
    self.missing = missing
    self.calls: list[tuple[str, int]] = []

  def predict_prepared(
    self,
    inputs: Sequence[Prepared],
    task: str,
    texts: Sequence[str] | None = None,
  ) -> list[Result]:
    self.calls.append((task, len(inputs)))
    results = []
    for prepared in inputs:
      ink = Ink.from_arrays([[[1.0, 2.0], [prepared.width - 2.0, 3.0]]])
      missing = task == self.missing
      results.append(
        Result(
          task=task,
          text="" if task == "derender" else f"w{prepared.width}",
          ink=Ink() if missing else ink,
          confidence=0.5,
          tokens=np.array([1], np.int32),
          log_probs=np.log(np.array([0.5], np.float32)),
          truncated=False,
          empty=missing,
          width=prepared.width,
          height=prepared.height,
        )
      )
    return results


def read(
  known: KnownInk, images: Sequence[np.ndarray], truth: Page, **options
) -> list[PageResult]:
  def finder(image: np.ndarray) -> list[WordRegion]:
    if image.shape[:2] != (truth.height, truth.width):
      return []
    return [WordRegion(word.box) for word in truth.words[::-1]]

  prepared = [pages.prepare_page(known, image, finder) for image in images]
  return pages.predict_pages(known, prepared, **options)


def test_words_come_back_in_order_and_in_place(
  model: Predictor, page: tuple[np.ndarray, Page]
):
  image, truth = page
  known = KnownInk(model)
  (result,) = read(known, [image], truth, task="recognize_and_derender")
  assert len(result.words) == len(truth.words)
  for word, wanted in zip(result.words, truth.words, strict=True):
    left, top, _, bottom = word.result.ink.bounds
    # The stand-in writes from edge to edge of the crop.
    assert abs(left - wanted.box[0]) < 0.5 * (wanted.box[3] - wanted.box[1])
    assert wanted.box[1] - 25 < top <= bottom < wanted.box[3]
    assert (word.result.width, word.result.height) == (1000, 500)
  assert [len(line) for line in result.lines] == [
    len(line) for line in truth.lines
  ]
  assert [count for _, count in known.calls] == [3] * (
    len(truth.words) // 3
  ) + [len(truth.words) % 3] * bool(len(truth.words) % 3)


def test_batches_run_across_pages(
  model: Predictor, page: tuple[np.ndarray, Page]
):
  image, truth = page
  blank = np.full((80, 90, 3), 240, np.uint8)
  known = KnownInk(model)
  known.batch_size = 64
  done: list[int] = []
  results = read(known, [image, blank, image], truth, progress=done.append)
  count = len(truth.words)
  assert known.calls == [("recognize_and_derender", 2 * count)]
  assert done == [2 * count]
  assert [len(result.words) for result in results] == [count, 0, count]
  assert results[1].empty and results[1].text == ""
  assert results[0].text == results[2].text


@pytest.mark.parametrize(
  ("task", "fallback"),
  [
    ("recognize_and_derender", "derender"),
    ("derender", "recognize_and_derender"),
  ],
)
def test_the_ink_of_the_fallback_is_used(
  model: Predictor, page: tuple[np.ndarray, Page], task: str, fallback: str
):
  image, truth = page
  (result,) = read(KnownInk(model, missing=task), [image], truth, task=task)
  assert result.task == task
  for word in result.words:
    assert word.result.task == fallback
    assert word.result.ink and not word.result.empty
    # The text that was read is kept.
    assert word.result.text.startswith("w")
  (result,) = read(
    KnownInk(model, missing=task), [image], truth, task=task, fallback=False
  )
  assert result.empty and not result.ink
  assert {word.result.task for word in result.words} == {task}


def test_a_real_model_reads_a_page(
  model: Predictor, page: tuple[np.ndarray, Page]
):
  image, truth = page
  boxes = [word.box for word in truth.words]
  result = model.page(image, segmenter=lambda _: list(map(WordRegion, boxes)))
  assert result.image is not None and result.image.shape == image.shape
  assert [word.box for word in result.words] == boxes
  for word in result.words:
    assert len(word.result.tokens) == len(word.result.log_probs)
  blank = model.page(np.full((50, 60, 3), 255, np.uint8))
  assert blank.lines == () and blank.empty


def test_text_is_asked_for_where_it_is_needed(
  model: Predictor, page: tuple[np.ndarray, Page]
):
  image, truth = page
  known = KnownInk(model)
  with pytest.raises(ValueError, match="this segmenter reads none"):
    read(known, [image], truth, task="derender_with_text")
  regions = [WordRegion(word.box, text=word.text) for word in truth.words]
  prepared = pages.prepare_page(known, image, lambda _: regions)
  assert prepared.texts == [word.text for word in truth.words]
  with pytest.raises(ValueError, match="no_task"):
    read(known, [image], truth, task="no_task")


def test_unknown_segmenters_are_refused():
  with pytest.raises(ValueError, match="builtin, doctr, tesseract"):
    pages.make_segmenter("magic")
