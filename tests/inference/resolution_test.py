"""The search for a scale, with a reader that is surest at a known one."""

import numpy as np
import pytest

from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.resolution import predict_at_best_scale
from inksight_jax.inference.results import Result
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.page_reading import PageTasks
from inksight_jax.pipeline.reading import ReadingTasks


class Reader(Predictor):
  """Sure of itself where the page is 20 pixels high."""

  def __init__(self, tasks) -> None:
    self.tasks = tasks

  def predict_prepared(self, prepared, task, texts=None):
    del texts
    results = []
    for page in prepared:
      high = round(page.height * page.placement.scale)
      sure = 1.0 / (1.0 + abs(high - 20))
      results.append(
        Result(
          task=task,
          text=f"{high}",
          ink=Ink(),
          confidence=sure,
          tokens=np.zeros(1, np.int32),
          log_probs=np.log(np.full(1, sure, np.float32)),
          truncated=False,
          empty=False,
          width=page.width,
          height=page.height,
        )
      )
    return results


def test_each_picture_has_its_own_scale():
  reader = Reader(PageTasks(source="iam", path="x", image_size=(64, 64)))
  pages = [np.full((high, 30, 3), 200, np.uint8) for high in (40, 80)]
  found = predict_at_best_scale(
    reader, pages, "recognize_page", (0.15, 0.25, 0.5)
  )
  assert [result.text for result in found] == ["20", "20"]
  assert [result.height for result in found] == [40, 80]


def test_a_model_without_a_scale_and_no_scales_are_refused():
  page = np.zeros((4, 4, 3), np.uint8)
  reader = Reader(ReadingTasks(source="iam", path="x"))
  with pytest.raises(ValueError, match="scale"):
    predict_at_best_scale(reader, [page], "recognize_line", (0.5,))
  with pytest.raises(ValueError, match="positive"):
    predict_at_best_scale(reader, [page], "recognize_line", ())
