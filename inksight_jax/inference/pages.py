"""From photos of pages to ink and text: words out, predictions back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference.crops import (
  DEFAULT_CROPS,
  Crop,
  CropConfig,
  cut_words,
)
from inksight_jax.inference.page import PageResult, PageWord
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.requests import Prepared
from inksight_jax.inference.results import Result
from inksight_jax.inference.segmentation.masks import with_masks
from inksight_jax.inference.segmentation.order import reading_order
from inksight_jax.inference.segmentation.registry import make_segmenter
from inksight_jax.inference.segmentation.types import Segmenter, WordRegion
from inksight_jax.inference.tiles import join_ink, join_text
from inksight_jax.ink.types import Ink
from inksight_jax.rendering.images import ImageLike, read_image

# Which other prompt is worth a try where an answer holds no ink.
FALLBACKS = {
  "recognize_and_derender": "derender",
  "derender_with_text": "derender",
  "derender": "recognize_and_derender",
}
# Tasks by how much they give without being told a text.
_DEFAULT_TASKS = ("recognize_and_derender", "derender", "recognize_image")


@dataclasses.dataclass(frozen=True, eq=False)
class PreparedPage:
  """A page whose words are cut out, ready to be predicted.

  Attributes:
    width: of the page, pixels.
    height: of the page, pixels.
    lines: regions of each line in reading order.
    crops: of each region, line after line.
    inputs: of each tile of each crop, as the model sees them.
    image: the page, uint8[height, width, 3], where it was kept.
  """

  width: int
  height: int
  lines: tuple[tuple[WordRegion, ...], ...]
  crops: tuple[Crop, ...]
  inputs: tuple[Prepared, ...]
  image: NDArray[np.uint8] | None = None

  @property
  def texts(self) -> list[str]:
    """What the segmenter read, once for each input."""
    regions = [region for line in self.lines for region in line]
    return [
      region.text
      for region, crop in zip(regions, self.crops, strict=True)
      for _ in crop.tiles
    ]


def prepare_page(
  predictor: Predictor,
  image: ImageLike,
  segmenter: Segmenter,
  config: CropConfig = DEFAULT_CROPS,
  keep: bool = False,
) -> PreparedPage:
  """Reads a page and cuts out its words.

  Args:
    predictor: whose sizes and padding rule the crops get.
    image: path, uint8 array or Pillow image.
    segmenter: finds the words.
    config: how they are cut out.
    keep: whether to keep the picture.

  Raises:
    ValueError: the image cannot be read.
  """
  page = read_image(image)
  height, width = page.shape[:2]
  regions = [
    region
    for region in segmenter(page)
    if region.width >= 1 and region.height >= 1
  ]
  regions = with_masks(page, regions)
  lines = tuple(tuple(line) for line in reading_order(regions))
  ordered = [region for line in lines for region in line]
  crops = cut_words(page, ordered, config, predictor.tasks.image_shape)
  inputs = [
    predictor.prepare(tile.image) for crop in crops for tile in crop.tiles
  ]
  return PreparedPage(
    width,
    height,
    lines,
    # Only where they lay is needed from here on; a batch of large pages fits.
    tuple(crop.without_pictures() for crop in crops),
    tuple(inputs),
    page if keep else None,
  )


def predict_pages(
  predictor: Predictor,
  pages: Sequence[PreparedPage],
  task: str | None = None,
  fallback: bool = True,
  progress: Callable[[int], None] = lambda count: None,
) -> list[PageResult]:
  """Predicts the words of prepared pages, batches running across pages.

  Args:
    predictor: the model.
    pages: as `prepare_page` returns them.
    task: a task name; by default the one that gives most.
    fallback: where the ink is missing ask again with another prompt, if the
      model was trained for it. The ink of that answer is used; the word's
      result then names the fallback as its `task`.
    progress: called with the number of words (parts of wide ones) just done.

  Returns:
    One result per page; of no words where there is no writing.

  Raises:
    ValueError: the task is unknown or was not trained, or needs a text that
      the segmenter did not read.
  """
  task = task or default_task(predictor.tasks.tasks)
  predictor.check_task(task)
  inputs = [prepared for page in pages for prepared in page.inputs]
  texts = [text for page in pages for text in page.texts]
  if task == "derender_with_text" and not all(texts):
    raise ValueError(
      "derender_with_text is told the text of each word, and this segmenter "
      "reads none (or not all): use --segmenter=doctr or tesseract, or the "
      "task recognize_and_derender."
    )
  results: list[Result] = []
  for first in range(0, len(inputs), predictor.batch_size):
    rows = slice(first, first + predictor.batch_size)
    results += predict_with_fallback(
      predictor, inputs[rows], task, texts[rows], fallback
    )
    progress(len(inputs[rows]))
  remaining = iter(results)
  return [_page_result(page, task, remaining) for page in pages]


def predict_with_fallback(
  predictor: Predictor,
  inputs: Sequence[Prepared],
  task: str,
  texts: Sequence[str] | None = None,
  fallback: bool = True,
) -> list[Result]:
  """Predicts words; where ink is missing asks again with another prompt.

  Args:
    predictor: the model.
    inputs: the words.
    task: a task name.
    texts: what is written, for `derender_with_text`.
    fallback: whether to ask again.

  Returns:
    One result per word. One that the fallback has given ink names it as its
    `task`, and keeps the text of the first answer if there was one.
  """
  results = predictor.predict_prepared(inputs, task, texts)
  other = FALLBACKS.get(task)
  if not fallback or other is None or other not in predictor.tasks.rates:
    return results
  again = [i for i, result in enumerate(results) if not result.ink]
  if not again:
    return results
  answers = predictor.predict_prepared([inputs[i] for i in again], other)
  for index, answer in zip(again, answers, strict=True):
    if answer.ink:
      read = results[index] if results[index].text else answer
      results[index] = dataclasses.replace(
        answer,
        text=read.text,
        character_confidences=read.character_confidences,
        empty=False,
      )
  return results


def read_pages(
  predictor: Predictor,
  images: Iterable[ImageLike],
  task: str | None = None,
  segmenter: str | Segmenter = "builtin",
  config: CropConfig = DEFAULT_CROPS,
  fallback: bool = True,
) -> Iterator[PageResult]:
  """Predicts whole pages, one after the other.

  Args:
    predictor: the model.
    images: paths, uint8 arrays or Pillow images.
    task: a task name; by default the one that gives most.
    segmenter: "builtin", "doctr", "tesseract", or a callable.
    config: how words are cut out.
    fallback: see `predict_pages`.

  Yields:
    One result per page, with its image.

  Raises:
    ValueError: an image cannot be read; a bad task or segmenter.
  """
  finder = make_segmenter(segmenter)
  for image in images:
    page = prepare_page(predictor, image, finder, config, keep=True)
    yield predict_pages(predictor, [page], task, fallback)[0]


def default_task(tasks: Sequence[str]) -> str:
  """The task that gives most without being told the text."""
  for task in _DEFAULT_TASKS:
    if task in tasks:
      return task
  return tasks[0]


def _page_result(
  page: PreparedPage, task: str, results: Iterator[Result]
) -> PageResult:
  """Puts predictions back on their page."""
  crops = iter(page.crops)
  lines = []
  for number, line in enumerate(page.lines):
    words = []
    for region in line:
      crop = next(crops)
      parts = [next(results) for _ in crop.tiles]
      result = _joined(parts, crop, page)
      words.append(PageWord(region.box, result, number, region.polygon))
    lines.append(tuple(words))
  return PageResult(task, page.width, page.height, tuple(lines), page.image)


def _joined(parts: Sequence[Result], crop: Crop, page: PreparedPage) -> Result:
  """One result in page pixels of those of a crop's tiles."""
  first = parts[0]
  log_probs = np.concatenate([part.log_probs for part in parts])
  text, left_out = join_text(crop, [part.text for part in parts])
  sure = tuple(
    value
    for part, skip in zip(parts, left_out, strict=True)
    for value in part.character_confidences[skip:]
  )
  if first.task == "derender_with_text":
    # Each tile was told the whole word.
    text, sure = first.text, ()
  ink = join_ink(crop, [part.ink for part in parts])
  return dataclasses.replace(
    first,
    text=text,
    character_confidences=sure if len(sure) == len(text) else (),
    ink=crop.to_page(ink) if ink else Ink(),
    confidence=float(np.exp(log_probs.mean())) if len(log_probs) else 0.0,
    tokens=np.concatenate([part.tokens for part in parts]),
    log_probs=log_probs,
    truncated=any(part.truncated for part in parts),
    empty=all(part.empty for part in parts),
    width=page.width,
    height=page.height,
    image=None,
  )
