"""Sheets, animation and the training picture show what they say."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference import pictures
from inksight_jax.inference.evaluation import Evaluation, Outcome
from inksight_jax.inference.held_out import Sample, held_out_samples
from inksight_jax.inference.predictor import Predictor
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example
from inksight_jax.rendering.strokes import draw_ordered


@pytest.fixture(scope="module")
def outcomes(model: Predictor) -> dict[str, list[Outcome]]:
  """Predictions that are true."""
  samples = held_out_samples(model.tasks, "test", 5)
  return {
    task: [
      Outcome(s, s.text, s.ink, False, {"aiou": 1.0} if s.ink else {"cer": 0.0})
      for s in chosen
    ]
    for task, chosen in samples.items()
  }


def test_ink_lies_over_the_enlarged_input(
  model: Predictor, outcomes: dict[str, list[Outcome]]
):
  # The shift, in enlarged pixels, at which the drawn ink covers most ink of
  # the input; a canvas cell is 5 of them.
  covered = np.zeros((11, 11))
  for outcome in outcomes["derender"]:
    ink, side = pictures._enlarged(outcome.ink, model.tasks)
    image = pictures._enlarged_image(outcome.sample.example.image, side)
    drawn = draw_ordered(ink, side, side, side / 80).min(axis=2) < 128
    grey = image.mean(axis=2)
    ink_of_input = abs(grey - np.median(grey))
    for dy in range(-5, 6):
      for dx in range(-5, 6):
        moved = np.roll(drawn, (dy, dx), (0, 1))
        covered[dy + 5, dx + 5] += ink_of_input[moved].sum()
  dy, dx = np.unravel_index(covered.argmax(), covered.shape)
  assert abs(int(dy) - 5) <= 1 and abs(int(dx) - 5) <= 1


def test_every_sample_is_on_the_sheet(
  model: Predictor, outcomes: dict[str, list[Outcome]]
):
  one = {task: o[:1] for task, o in outcomes.items()}
  small = pictures.draw_sheet(one, model.tasks)
  large = pictures.draw_sheet(outcomes, model.tasks)
  assert small.dtype == np.uint8 and small.shape[2] == 3
  assert large.shape[0] > small.shape[0] and large.shape[1] > small.shape[1]
  # A missing prediction leaves less colour on the sheet.
  blank = {
    task: [dataclasses.replace(o, ink=Ink()) for o in chosen]
    for task, chosen in outcomes.items()
  }

  def colored(sheet: np.ndarray) -> int:
    values = sheet.astype(int)
    return int((values.max(axis=2) - values.min(axis=2) > 60).sum())

  full = colored(large)
  assert 0.3 < colored(pictures.draw_sheet(blank, model.tasks)) / full < 0.7
  with pytest.raises(ValueError, match="no prediction"):
    pictures.draw_sheet({"derender": []}, model.tasks)


def test_the_worst_come_first():
  def outcome(name: str, **scores: float) -> Outcome:
    ids = np.zeros(1, np.int32)
    example = Example(np.zeros((2, 2, 3), np.uint8), ids, ids)
    sample = Sample(name, "derender", example, "", Ink())
    return Outcome(sample, "", Ink(), False, scores)

  by_ink = [
    outcome(n, aiou=a, cer=0.0)
    for n, a in zip("abc", (0.5, 0.1, 0.9), strict=True)
  ]
  assert [o.sample.id for o in pictures.worst(by_ink, 2)] == ["b", "a"]
  by_text = [
    outcome(n, cer=c) for n, c in zip("abc", (0.5, 0.1, 0.9), strict=True)
  ]
  assert [o.sample.id for o in pictures.worst(by_text, 2)] == ["c", "a"]


def test_files_open_and_the_animation_grows(
  model: Predictor, outcomes: dict[str, list[Outcome]], tmp_path: pathlib.Path
):
  files = pictures.write_pictures(
    Evaluation({}, outcomes), model.tasks, str(tmp_path), count=2
  )
  assert set(files) == {p.name for p in tmp_path.iterdir()}
  known = {"samples.png", "worst.png", "sample.gif"}
  # Errors of the task that only reads, if it makes any.
  more = {"errors.json", "errors.png", "worst.html"}
  assert known < set(files) <= known | more
  for name in ("samples.png", "worst.png"):
    with Image.open(tmp_path / name) as image:
      assert min(image.size) > 100
  with Image.open(tmp_path / "sample.gif") as gif:
    inked = []
    for frame in range(gif.n_frames):
      gif.seek(frame)
      lower = np.asarray(gif.convert("L"))[gif.size[1] // 2 :]
      inked.append(int((lower < 200).sum()))
  assert len(inked) > 2 and inked[0] < inked[len(inked) // 2] < inked[-1]
  only_text = {"recognize_ink": outcomes["recognize_ink"]}
  assert pictures.animate(only_text, model.tasks) == []


def test_the_training_picture_is_of_the_same_samples_each_time(
  model: Predictor,
):
  draw = pictures.SamplePicture(model.tasks, "test", count=2)
  first = draw(model.model, model.params, 1)
  again = draw(model.model, model.params, 2)
  np.testing.assert_array_equal(first, again)
  other = jax.tree.map(lambda x: -x, model.params)
  changed = draw(model.model, other, 3)
  assert changed.shape != first.shape or (changed != first).any()
