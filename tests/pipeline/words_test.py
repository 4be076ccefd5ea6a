"""Word tasks: spread or as found, of ink or of pictures."""

import dataclasses

import numpy as np
import pytest

from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.examples import Example, Skip
from inksight_jax.pipeline.families import load_tasks
from inksight_jax.pipeline.joined import Join
from inksight_jax.pipeline.reading import ReadingTasks
from inksight_jax.pipeline.words import WordTasks
from inksight_jax.rendering.words import draw_found, spread_picture
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary


@pytest.fixture
def tasks(records) -> WordTasks:
  return WordTasks(
    source="unit",
    path=__file__,
    vocabulary=Vocabulary(CharacterCodec("word0123456789"), None),
    rates={"generate_words": 1.0},
    image_size=(16, 64),
    target_length=9,
    character_width=8,
  )


def build(tasks, record, training=False, seed=0):
  rng = np.random.default_rng(seed)
  return tasks.build(record, "generate_words", rng, training)


def test_a_spread_picture_is_as_wide_as_its_characters(tasks, records):
  record = records["train"][3]
  example = build(tasks, record)
  assert isinstance(example, Example)
  expected = spread_picture(record.image, (16, 64), 5 * 8)
  np.testing.assert_array_equal(example.image, expected)
  assert tasks.vocabulary.decode(example.targets).text == record.text


def test_ink_is_drawn_with_another_pen_each_time(tasks, records):
  drawn = dataclasses.replace(tasks, rendered=True)
  record = records["train"][3]
  first, again, other = (
    build(drawn, record, True, seed).image for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(first, again)
  assert (first != other).any()
  # Held out: always the same.
  assert (
    build(drawn, record).image == build(drawn, record, seed=9).image
  ).all()
  found = dataclasses.replace(drawn, held_out_spread=0.0)
  np.testing.assert_array_equal(
    build(found, record).image, draw_found(record.ink, (16, 64), 1.8)
  )


def test_the_chance_of_being_spread(tasks, records):
  half = dataclasses.replace(tasks, spread=0.5)
  record = records["train"][3]
  spread = spread_picture(record.image, (16, 64), 40)
  fitted, _ = tasks.fit(record.image)
  kinds = []
  for seed in range(60):
    image = build(half, record, True, seed).image
    kinds.append(bool((image == spread).all()))
    assert kinds[-1] or (image == fitted).all()
  assert 15 <= sum(kinds) <= 45


def test_words_of_one_writer_come_in_pairs_with_their_number(tasks, records):
  # Three writers, one word of nobody, and in between what has no text.
  del records["train"][15:]
  records["train"][5] = dataclasses.replace(records["train"][5], writer="")
  table = [record for record in records["train"] if record.text]
  assert len(table) == 12
  hands = dataclasses.replace(tasks, hands=True)
  assert (hands.prompt_length, tasks.prompt_length) == (1, 0)
  assert hands.name != tasks.name
  assert hands.input_shapes(2)["encoder_input_tokens"] == (2, 1)
  numbers = {r.writer: int(build(hands, r).inputs.item()) for r in table}
  assert numbers.pop("") == 0
  assert len(set(numbers.values())) == 3 and min(numbers.values()) > 0
  # The same name elsewhere is somebody else.
  other = dataclasses.replace(table[0], source="elsewhere")
  assert build(hands, other).inputs.item() not in numbers.values()

  def pairs_of(**options) -> int:
    source = RecordBatches(hands, batch_size=12, **options)
    found = 0
    for epoch in range(3):
      batch = next(source.batches(epoch))["encoder_input_tokens"]
      assert batch.shape == (12, 1) and batch.dtype == np.int32
      assert sorted(batch[:, 0]) == sorted(
        numbers.get(r.writer, 0) for r in table
      )
      twos = batch.reshape(-1, 2)
      found += int(np.sum((twos[:, 0] == twos[:, 1]) & (twos[:, 0] > 0)))
    return found

  counts = [sum(r.writer == name for r in table) for name in numbers]
  most = sum(count // 2 for count in counts)
  assert pairs_of(pairs=True) == 3 * most > pairs_of()
  # Held out, nothing is shuffled.
  assert pairs_of(pairs=True, shuffle=False) == pairs_of(shuffle=False)


def test_rows_of_several_records_make_no_pairs(records):
  rows = ReadingTasks(
    source="unit",
    path=__file__,
    vocabulary=Vocabulary(CharacterCodec("word0123456789"), None),
    rates={"recognize_word": 1.0},
    image_size=(16, 64),
    target_length=30,
    join=Join(least=2, most=2),
  )
  with pytest.raises(ValueError, match="recognize_word makes one record of"):
    RecordBatches(rows, pairs=True)


def test_what_does_not_fit_is_skipped(tasks, records):
  narrow = dataclasses.replace(tasks, image_size=(16, 32))
  assert build(narrow, records["train"][3]) == Skip("text too long")
  no_ink = dataclasses.replace(tasks, rendered=True)
  assert build(no_ink, records["train"][10]) == Skip("no ink")
  with pytest.raises(ValueError, match="positive width"):
    dataclasses.replace(tasks, character_width=0)


def test_word_tasks_come_back_from_their_description(tasks, tmp_path):
  other = dataclasses.replace(tasks, rendered=True, pen=(1.0, 1.5))
  other.save(str(tmp_path))
  restored = load_tasks(str(tmp_path))
  assert restored == dataclasses.replace(other, path=restored.path)
  assert restored.name == other.name != tasks.name
  assert other.name.startswith("words_")
