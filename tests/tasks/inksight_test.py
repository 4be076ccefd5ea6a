"""Tests of the registered tasks and their mixture, through SeqIO."""

import collections
import itertools

import numpy as np
import pytest

from inksight_jax.ink.tokens import InkCodec
from inksight_jax.pipeline.spec import InkSightTasks
from inksight_jax.text.vocabulary import Vocabulary

seqio = pytest.importorskip("seqio")

from inksight_jax.tasks import inksight  # noqa: E402

from inksight_jax.pipeline.batches import MixtureBatches  # noqa: E402


@pytest.fixture
def spec() -> InkSightTasks:
  return InkSightTasks(
    source="generated_words",
    source_options={"count": 12, "held_out_count": 5, "max_length": 3},
    vocabulary=Vocabulary(ink=InkCodec(32)),
    image_size=24,
    input_length=48,
    target_length=128,
    rates={"derender": 1.0, "recognize_ink": 3.0},
  )


def test_registering_again_takes_the_new_rates(spec):
  name = inksight.register(spec)
  assert inksight.register(spec) == name == spec.name
  mixture = seqio.get_mixture_or_task(name)
  rates = {t.name: mixture.get_rate(t) for t in mixture.tasks}
  assert rates == {f"{name}_derender": 1.0, f"{name}_recognize_ink": 3.0}


def test_mixture_batches_follow_the_rates_and_start_anywhere(spec):
  source = MixtureBatches(inksight.register(spec), spec, batch_size=8, seed=3)
  walked = list(itertools.islice(source.batches(), 30))
  late = next(source.batches(29))
  for key, value in late.items():
    np.testing.assert_array_equal(value, walked[29][key])
  prompts = collections.Counter(
    spec.vocabulary.decode(row).text
    for batch in walked
    for row in batch["encoder_input_tokens"]
  )
  assert prompts.keys() == {"Derender the ink.", "Recognize the ink."}
  # 180 expected of 240, standard deviation 6.7.
  assert 150 < prompts["Recognize the ink."] < 210


def test_seqio_scores_true_answers_as_perfect(spec):
  inksight.register(spec)
  for task in spec.tasks:
    registered = seqio.get_mixture_or_task(inksight.task_name(spec, task))
    ds = registered.get_dataset(spec.lengths, "test", shuffle=False)
    vocabulary = registered.output_features["targets"].vocabulary
    answers = [
      registered.postprocess_fn(
        vocabulary.decode(e["targets"].tolist()), example=e, is_target=True
      )
      for e in ds.as_numpy_iterator()
    ]
    assert len(answers) == 5
    scores: dict[str, float] = {}
    for metric in registered.metric_fns:
      scores |= metric(answers, answers)
    if task == "derender":
      assert scores["aiou"] == 1 and scores["ldtw"] == 0
      assert scores["aiou_shuffled"] < 1
      assert "cer" not in scores
    else:
      assert scores["cer"] == 0 and scores["exact_match"] > 0
      assert scores["cer_shuffled"] > 0
      assert "aiou" not in scores
