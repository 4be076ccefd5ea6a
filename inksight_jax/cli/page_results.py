"""`inksight-jax predict --page`: predictions of whole pages, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from inksight_jax.cli.progress import Progress

if TYPE_CHECKING:
  from inksight_jax.inference.outputs import Outputs
  from inksight_jax.inference.pages import PreparedPage
  from inksight_jax.inference.predictor import Predictor

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
