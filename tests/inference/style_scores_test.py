"""Few-shot style where the answer is known: hands that differ in darkness."""

import numpy as np
import pytest

from inksight_jax.inference import style_scores
from inksight_jax.inference.feature_space import FeatureSpace
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.word_generator import WordGenerator
from inksight_jax.ink.types import Ink
from inksight_jax.pipeline.examples import Example

DARKNESS = {"ann": 40, "bob": 90, "eve": 200}
SPACE = FeatureSpace(
  "mean grey", lambda many: np.array([[np.mean(picture)] for picture in many])
)
NOTHING = np.zeros(0, np.int32)


class Copyist(WordGenerator):
  """Writes as dark as what it was shown, give or take what it gets wrong."""

  character_width = 4

  def __init__(self, wrong=lambda grey: grey):
    self.wrong = wrong
    self.written = []
    self.seen = []

  def imitate(self, pictures, texts):
    self.seen += [picture.shape[1] for picture in pictures]
    assert len(pictures) == len(texts)
    return np.array([np.mean([p.mean() for p in pictures])], np.float32)

  def generate(self, texts, styles):
    self.written += texts
    return [
      np.full((4, 4 * len(text), 3), self.wrong(grey), np.uint8)
      for text, grey in zip(texts, styles[:, 0], strict=True)
    ]


def sample(writer: str, text: str) -> Sample:
  # Paper follows the word: nobody is to look at it.
  image = np.full((4, 12, 3), 255, np.uint8)
  image[:, : 4 * len(text)] = DARKNESS.get(writer, 128)
  return Sample(
    f"{writer}-{text}",
    "generate_words",
    Example(image, NOTHING, NOTHING),
    text,
    Ink(()),
    writer,
  )


@pytest.fixture
def writers():
  return [
    [sample(writer, text) for text in ("ab", "c", "de", "f")]
    for writer in DARKNESS
  ]


def test_who_copies_is_nearest_to_each(writers):
  copyist = Copyist()
  found = style_scores.imitation(copyist, writers, SPACE, examples=2)
  assert found["style_nearer"] == found["style_nearest"] == 1.0
  assert found["style_nearer_real"] == found["style_nearest_real"] == 1.0
  assert found["style_nearest_shuffled"] == 0.0
  assert found["style_distance"] == 0.0
  # (50 + 160) / 2, (50 + 110) / 2 and (110 + 160) / 2.
  assert found["style_distance_others"] == pytest.approx(320 / 3)
  assert found["style_writers"] == 3
  # Shown: two of each, without paper, others in each draw. Written: what some
  # writer's others say, the same in all styles.
  assert set(copyist.seen) == {4, 8}
  shown = np.reshape(copyist.seen, (4, 3 * 2)).tolist()
  assert any(again != shown[0] for again in shown[1:])
  assert {"ab", "c", "de", "f"} == set(copyist.written)
  assert all(copyist.written.count(text) % 3 == 0 for text in copyist.written)


def test_only_words_of_the_hidden_ones_are_written():
  pair = [[sample(w, t) for t in ("ab", "c")] for w in ("ann", "bob")]
  copyist = Copyist()
  style_scores.imitation(copyist, pair, SPACE, examples=1, draws=1)
  # Widths tell which one was shown: 8 "ab", 4 "c".
  hidden = {"c" if width == 8 else "ab" for width in copyist.seen}
  assert set(copyist.written) == hidden


def test_one_hand_for_all_is_nearest_to_one(writers):
  blind = Copyist(lambda grey: 80)
  found = style_scores.imitation(blind, writers, SPACE, examples=1)
  assert found["style_nearest"] == pytest.approx(1 / 3)
  # 40 from ann, against 65 from the others; 10 and 120 from bob and eve.
  assert found["style_nearer"] == pytest.approx(2 / 3)
  assert found["style_nearest_shuffled"] == found["style_nearest"]


def test_writers_with_enough_words():
  texts = ("ab", "c", "de", "f")
  mixed = [sample(w, t) for t in texts for w in ("ann", "", "bob")][:-1]
  found = style_scores.by_writer(mixed, least=4, most=9)
  assert [[s.id for s in own] for own in found] == [
    [f"ann-{text}" for text in texts]
  ]
  assert [len(own) for own in style_scores.by_writer(mixed, 3, 2)] == [2, 2]


def test_too_few_words_of_a_writer(writers):
  with pytest.raises(ValueError, match="more than 4 words"):
    style_scores.imitation(Copyist(), writers, SPACE, examples=4)
