"""Eight samples of all five tasks, learned by heart from picture to tokens.

A shifted target, a wrong mask or a picture that is not its ink's cannot be
learned by heart together with the others. Runs as a program of its own: the
compiler of the other tests does not try hard, and this one runs for minutes.
"""

import itertools
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np

from inksight_jax.datasets.generated import read_generated_words
from inksight_jax.datasets.record import Record
from inksight_jax.ink.normalize import fit_placement
from inksight_jax.ink.tokens import InkCodec
from inksight_jax.models.sequence_to_sequence import SequenceToSequence
from inksight_jax.networks import coordinates, inksight, mt5, vit
from inksight_jax.pipeline import examples
from inksight_jax.pipeline.spec import TASK_PROMPTS, InkSightTasks
from inksight_jax.rendering.augment import AugmentConfig
from inksight_jax.rendering.strokes import draw_ink
from inksight_jax.text.vocabulary import Vocabulary
from inksight_jax.training import loop, optimizers

SIZE = 32
STEPS = 300


def samples(tasks):
  """Features of 8 words in each task; photos are plain drawings."""
  rows = []
  for record in read_generated_words(8, max_length=3):
    placed = fit_placement(record.ink.bounds, SIZE, 3.0).apply(record.ink)
    photo = Record(
      id=record.id,
      source="drawn",
      text=record.text,
      image=draw_ink(placed, SIZE, SIZE),
    )
    for task, info in TASK_PROMPTS.items():
      example = examples.build_example(
        record if info.rendered else photo,
        task,
        tasks,
        np.random.default_rng(0),
        training=False,
      )
      assert isinstance(example, examples.Example), example
      rows.append(examples.to_model_features(example, tasks))
  return examples.stack(rows)


def test_eight_samples_of_all_five_tasks_are_learned_by_heart():
  root = pathlib.Path(__file__).parents[1]
  environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(root)}
  done = subprocess.run(
    [sys.executable, __file__],
    env=environment,
    capture_output=True,
    text=True,
    timeout=900,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert done.stdout.strip().endswith("0 wrong")


def learn_by_heart() -> None:
  """Trains, decodes and prints how many tokens of how many are wrong."""
  vocabulary = Vocabulary(ink=InkCodec(SIZE))
  tasks = InkSightTasks(
    source="generated_words",
    vocabulary=vocabulary,
    rates=dict.fromkeys(TASK_PROMPTS, 1.0),
    image_size=SIZE,
    input_length=24,
    target_length=64,
    tolerance=1.0,
    augment=AugmentConfig.none(),
  )
  batch = samples(tasks)
  assert len(batch["decoder_target_tokens"]) == 8 * 5
  layout = (vocabulary.ink_offset, SIZE)
  model = SequenceToSequence(
    inksight.InkSight(
      inksight.InkSightConfig(
        vit=vit.ViTConfig(
          image_size=SIZE,
          patch_size=8,
          width=64,
          depth=1,
          mlp_dim=128,
          num_heads=2,
          stem="conv",
          position="coordinates",
        ),
        mt5=mt5.MT5Config(
          vocab_size=vocabulary.padded_size(128),
          emb_dim=64,
          num_heads=2,
          head_dim=32,
          mlp_dim=128,
          num_encoder_layers=1,
          num_decoder_layers=2,
          dropout_rate=0.0,
          embedding_init=coordinates.CoordinateEmbedding(*layout),
          logits_init=coordinates.CoordinateLogits(*layout),
        ),
      )
    )
  )

  class Repeated:
    def batches(self, start=0):
      return itertools.repeat(batch)

  state = loop.fit(
    model,
    optimizers.adamw(optimizers.warmup_cosine(4e-3, 30, STEPS), b2=0.98),
    Repeated(),
    STEPS,
  )
  # Read back without the truth at hand: greedy decoding through the cache.
  tokens = np.asarray(jax.jit(model.predict_batch)(state.params, batch))
  targets = batch["decoder_target_tokens"]
  wrong = (tokens != targets) & (targets != 0)
  print(f"{np.count_nonzero(targets)} tokens, {wrong.sum()} wrong")


if __name__ == "__main__":
  learn_by_heart()
