"""Reading tasks through SeqIO: the same rows, features without a prompt."""

import itertools
import pathlib

import numpy as np
import pytest

from inksight_jax.pipeline.joined import Join
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary

seqio = pytest.importorskip("seqio")

from inksight_jax.tasks import inksight  # noqa: E402

from inksight_jax.pipeline.batches import (  # noqa: E402
  MixtureBatches,
  RecordBatches,
)


@pytest.fixture
def tasks(tmp_path: pathlib.Path) -> ReadingTasks:
  rng = np.random.default_rng(0)
  for part, count in (("train", 30), ("t10k", 12)):
    pictures = rng.integers(0, 256, (count, 6, 4), np.uint8)
    labels = rng.integers(0, 10, count, np.uint8)
    for name, data in (
      (f"{part}-images-idx3-ubyte", pictures),
      (f"{part}-labels-idx1-ubyte", labels),
    ):
      header = bytes((0, 0, 8, data.ndim))
      sizes = b"".join(size.to_bytes(4, "big") for size in data.shape)
      (tmp_path / name).write_bytes(header + sizes + data.tobytes())
  return ReadingTasks(
    source="mnist",
    path=str(tmp_path),
    source_options={"validation_count": 6},
    vocabulary=Vocabulary(CharacterCodec("0123456789"), None),
    rates={"read_digits": 1.0},
    image_size=(6, 14),
    target_length=5,
    join=Join(2, 3),
  )


def test_held_out_batches_are_those_of_the_records(tasks):
  name = inksight.register(tasks)
  ours = next(RecordBatches(tasks, "test", 4, shuffle=False).batches())
  theirs = next(MixtureBatches(name, tasks, "test", 4).batches())
  assert set(ours) == set(theirs) and "encoder_input_tokens" not in ours
  for key, value in ours.items():
    np.testing.assert_array_equal(theirs[key], value, err_msg=key)


def test_training_numbers_change_and_repeat_with_the_seed(tasks):
  name = inksight.register(tasks)

  def texts(seed: int) -> list[str]:
    batches = MixtureBatches(name, tasks, batch_size=8, seed=seed).batches()
    return [
      tasks.vocabulary.decode(row).text
      for batch in itertools.islice(batches, 3)
      for row in batch["decoder_target_tokens"]
    ]

  assert texts(1) == texts(1) != texts(2)
  assert {len(text) for text in texts(1)} == {2, 3}


def test_answers_are_scored_as_text(tasks):
  inksight.register(tasks)
  task = seqio.get_mixture_or_task(inksight.task_name(tasks, "read_digits"))
  one = tasks.vocabulary.decode([3, 4, 1])
  two = tasks.vocabulary.decode([5, 4, 1])
  (metric,) = task.metric_fns
  scores = metric([one, two, two], [one, two, one])
  assert scores["cer"] == pytest.approx(1 / 6)
  assert scores["exact_match"] == pytest.approx(2 / 3)
