"""What `inksight-jax predict` does with pages, word by word or whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inksight_jax.cli.progress import Progress

if TYPE_CHECKING:
  from inksight_jax.inference.outputs import Outputs
  from inksight_jax.inference.pages import PreparedPage
  from inksight_jax.inference.predictor import Predictor
  from inksight_jax.inference.results import Result

# Pages whose words share batches. More would keep people waiting for the first
# result and lose more when the command is interrupted.
_PAGES_TOGETHER = 4


def page_results(
  model: Predictor,
  paths: Sequence[str],
  task: str,
  segmenter: str,
  progress: Progress,
) -> Iterator[tuple[str, Outputs | Exception]]:
  """Results in the order of the paths; an error where an image is bad.

  Args:
    model: reads the words.
    paths: of pictures of pages.
    task: what to do with each word.
    segmenter: name of what finds the words.
    progress: counts words.

  Raises:
    ValueError: the segmenter is unknown or not installed.
  """
  from inksight_jax.inference import pages

  finder = pages.make_segmenter(segmenter)
  for first in range(0, len(paths), _PAGES_TOGETHER):
    chunk = paths[first : first + _PAGES_TOGETHER]
    prepared: dict[str, PreparedPage] = {}
    results: dict[str, Outputs | Exception] = {}
    for path in chunk:
      try:
        prepared[path] = pages.prepare_page(model, path, finder)
      # Whatever a file makes a decoder do, the others are done.
      except Exception as error:
        results[path] = error
    answers = pages.predict_pages(
      model,
      list(prepared.values()),
      task,
      progress=lambda count: progress.advance("predict", count),
    )
    results |= dict(zip(prepared, answers, strict=True))
    for path in chunk:
      yield path, results[path]


def reads_pages(model: Predictor) -> bool:
  """Whether a model reads pages whole, and so has no places for their lines."""
  return model.tasks.FAMILY == "pages"


def place_lines(
  paths: Sequence[str], answers: Sequence[Result], segmenter: str
) -> list[Result]:
  """Answers of a reader of pages, lines where a segmenter finds as many.

  Args:
    paths: of the pictures.
    answers: one for each.
    segmenter: name of what finds lines.

  Raises:
    ValueError: the segmenter is unknown or not installed.
  """
  from inksight_jax.inference import line_places, pages
  from inksight_jax.rendering.images import read_image

  finder = pages.make_segmenter(segmenter)
  return [
    line_places.place_lines(answer, read_image(path), finder)
    for path, answer in zip(paths, answers, strict=True)
  ]
