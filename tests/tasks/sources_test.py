"""A gin mixture of two data sets through SeqIO."""

import collections
import itertools

import gin
import numpy as np
import pytest

seqio = pytest.importorskip("seqio")

from inksight_jax.tasks import inksight  # noqa: E402

from inksight_jax.pipeline.batches import (  # noqa: E402
  MixtureBatches,
  RecordBatches,
)
from inksight_jax.pipeline.spec import InkSightTasks  # noqa: E402

# Texts say where they come from: letters of one alphabet or of the other.
MIXTURE = """
from __gin__ import dynamic_registration

from inksight_jax.ink import tokens
from inksight_jax.pipeline import mixture
from inksight_jax.pipeline import spec
from inksight_jax.text import vocabulary

first/mixture.Source:
  name = "generated_words"
  key = "first"
  options = {"alphabet": "abc", "count": 12, "held_out_count": 5}
second/mixture.Source:
  name = "generated_words"
  key = "second"
  options = {"alphabet": "xyz", "count": 30, "held_out_count": 5}
  rate = {"recognize_ink": 4.0}
  cap = 6
tokens.InkCodec.canvas = 32
vocabulary.Vocabulary.ink = @tokens.InkCodec()
spec.InkSightTasks:
  sources = [@first/mixture.Source(), @second/mixture.Source()]
  vocabulary = @vocabulary.Vocabulary()
  image_size = 24
  input_length = 48
  target_length = 200
  rates = {"derender": 1.0, "recognize_ink": 3.0}
"""


@pytest.fixture
def spec():
  # Whoever parsed a recipe before, in this process, left it there.
  gin.clear_config()
  gin.parse_config(MIXTURE)
  yield gin.get_configurable(InkSightTasks)()
  gin.clear_config()


def test_rates_of_tasks_and_sources(spec):
  """By hand: 12 against 4 * min(30, 6) of three parts; "second" has one."""
  mixture = seqio.get_mixture_or_task(inksight.register(spec))
  rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
  total = sum(rates.values())
  shares = {
    name.removeprefix(f"{spec.name}_"): rate / total
    for name, rate in rates.items()
    if rate
  }
  assert shares == pytest.approx(
    {
      "derender_first": 1 / 4,
      "recognize_ink_first": 3 / 4 * 12 / 36,
      "recognize_ink_second": 3 / 4 * 24 / 36,
    }
  )


def test_batches_draw_from_both_as_often_as_ours_do(spec):
  name = inksight.register(spec)
  decode = spec.vocabulary.decode

  def draws(batches) -> collections.Counter[str]:
    found: collections.Counter[str] = collections.Counter()
    for batch in itertools.islice(batches, 30):
      for row in batch["decoder_target_tokens"]:
        found["".join(sorted(set(decode(row).text)))[:1] or "ink"] += 1
    return found

  for source in (
    MixtureBatches(name, spec, batch_size=8, seed=3),
    RecordBatches(spec, batch_size=8, seed=3),
  ):
    found = draws(source.batches())
    second = sum(found[letter] for letter in "xyz")
    first = sum(found[letter] for letter in "abc")
    # 120, 60, 60 expected; the standard deviation is at most 8.
    assert abs(second - 120) < 28 and abs(first - 60) < 28
    assert abs(found["ink"] - 60) < 28 and found.total() == 240


def test_held_out_examples_of_a_source_are_ours(spec):
  inksight.register(spec)
  task = seqio.get_mixture_or_task(
    inksight.task_name(spec, "recognize_ink/second")
  )
  theirs = [
    spec.vocabulary.decode(e["targets"]).text
    for e in task.get_dataset(
      spec.lengths, "test", shuffle=False
    ).as_numpy_iterator()
  ]
  ours = RecordBatches(spec, "test", shuffle=False).records
  (component,) = (
    c for c in spec.components if c.name == "recognize_ink/second"
  )
  expected = [record.text for record in ours.of(component)]
  np.testing.assert_array_equal(theirs, expected)
  assert len(theirs) == 5 and set("".join(theirs)) <= set("xyz")
