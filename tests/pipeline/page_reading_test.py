"""Tasks that read pages: one place and one scale, no page of another split."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.pipeline.batches import RecordBatches
from inksight_jax.pipeline.composed import Compose
from inksight_jax.pipeline.examples import Example, Skip
from inksight_jax.pipeline.families import load_tasks
from inksight_jax.pipeline.mixture import Source
from inksight_jax.pipeline.page_reading import PageTasks
from inksight_jax.pipeline.records import MixtureRecords
from inksight_jax.pipeline.shard_writer import write_shards
from inksight_jax.text.codecs import CharacterCodec
from inksight_jax.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary(CharacterCodec("\n abcdefghijklmnopqrstuvwxyz"), None)


def tasks(**changes) -> PageTasks:
  values = {
    "source": "generated_words",
    "source_options": {"count": 60, "held_out_count": 40, "max_length": 4},
    "vocabulary": VOCABULARY,
    "image_size": (72, 96),
    "target_length": 64,
    "compose": Compose(
      lines=(1, 3), words=(1, 2), count=40, held_out_count=12, one_writer=False
    ),
    **changes,
  }
  return PageTasks(**values)


def photo(height: int = 60, width: int = 90) -> Record:
  image = np.full((height, width, 3), 210, np.uint8)
  cv2.circle(image, (30, 20), 10, (30, 40, 50), 3)
  return Record(id="photo", source="unit", text="a\nB", image=image)


def test_a_composed_page_is_read_line_by_line():
  batches = RecordBatches(tasks(), "train", 8)
  name, record, example = batches.example(0)
  assert name == "recognize_page" and example.image.shape == (72, 96, 3)
  text = VOCABULARY.decode(example.targets).text
  # All of it, or what had room.
  assert text and all(
    line in record.text.split("\n") or line in record.text
    for line in text.split("\n")
  )
  # Ink in the top left, nothing but paper behind it.
  assert (example.image < 128).any()
  assert (example.image[-1, -1] == 255).all()


def test_a_picture_keeps_its_scale_whatever_the_frame():
  small = tasks(image_size=(48, 64), scale=0.5)
  large = dataclasses.replace(small, image_size=(96, 128))
  image = photo().image
  one, placed = small.fit(image)
  two, _ = large.fit(image)
  assert placed.scale == 0.5
  np.testing.assert_array_equal(one[:30, :45], two[:30, :45])
  assert (one[30:] == one[-1, -1]).all() and (two[30:] == two[-1, -1]).all()
  # Too large for the frame: shrunk further.
  assert tasks(image_size=(15, 64), scale=0.5).fit(image)[1].scale == 0.25


def test_what_is_trained_on_is_what_prediction_sees():
  spec = tasks(compose=None, source="image_folder", path=__file__, scale=0.5)
  spec = dataclasses.replace(spec, source_options={}, lower_case=True)
  record = photo(61, 93)
  rng = np.random.default_rng(0)
  example = spec.build(record, "recognize_page", rng, False)
  assert isinstance(example, Example)
  np.testing.assert_array_equal(example.image, spec.fit(record.image)[0])
  assert VOCABULARY.decode(example.targets).text == "a\nb"
  upper = dataclasses.replace(spec, lower_case=False)
  skip = upper.build(record, "recognize_page", rng, False)
  assert skip == Skip("text outside the vocabulary")


def words_of(record: Record) -> set[str]:
  return {word.id for line in record.parts for word in line.parts}


def test_no_page_has_a_word_of_another_split():
  seen = {}
  for split in ("train", "validation", "test"):
    mixture = MixtureRecords(tasks(), split)
    (component,) = mixture.components.values()
    pages = mixture.of(component)
    seen[split] = set()
    for index in range(len(pages)):
      seen[split] |= words_of(pages.at(index, 3))
  for one, two in itertools.combinations(seen.values(), 2):
    assert one and two and not one & two


def test_real_and_composed_pages_mix_by_probability(tmp_path):
  words, pages = tmp_path / "words", tmp_path / "pages"
  for folder, number in ((words, 6), (pages, 4)):
    (folder / "train").mkdir(parents=True)
    rows = ["image,text,split"]
    for index in range(number):
      for split in ("train", "validation"):
        name = f"{split}_{index}.png"
        cv2.imwrite(str(folder / name), photo(30, 50).image)
        rows.append(f"{name},{'ab'[index % 2]},{split}")
    (folder / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
  spec = tasks(
    source="",
    source_options={},
    compose=None,
    sources=[
      Source("image_folder", str(pages), key="real", rate=0.75, cap=1),
      Source(
        "image_folder",
        str(words),
        key="synthetic",
        rate=0.25,
        cap=1,
        compose=Compose(words=(1, 2), count=30, held_out_count=0),
      ),
    ],
  )
  batches = RecordBatches(spec, "train", 8)
  names = [batches.example(position)[0] for position in range(400)]
  share = names.count("recognize_page/synthetic") / len(names)
  assert share == pytest.approx(0.25, abs=0.05)
  # What is measured is real.
  assert set(RecordBatches(spec, "validation", 4).rates) == {
    "recognize_page/real"
  }


def test_workers_make_the_pages_of_one_process_and_new_ones_each_epoch():
  spec = tasks()
  ours = RecordBatches(spec, "train", 20).batches()
  pool = RecordBatches(spec, "train", 20, workers=2)
  theirs = pool.batches()
  epochs = []
  # 40 pages: two epochs.
  for _ in range(2):
    pages = []
    for _ in range(2):
      one, two = next(ours), next(theirs)
      for key, value in one.items():
        np.testing.assert_array_equal(two[key], value, err_msg=key)
      pages += [row.tobytes() for row in one["encoder_input_image"]]
    epochs.append(set(pages))
  pool.close()
  assert len(epochs[0]) == 40 and not epochs[0] & epochs[1]


def test_a_cache_remembers_the_pages(tmp_path):
  spec = tasks()
  write_shards(str(tmp_path), spec, ("validation",), workers=0)
  loaded = load_tasks(str(tmp_path))
  assert loaded == spec and loaded.name == spec.name
  grown = dataclasses.replace(
    spec, compose=dataclasses.replace(spec.compose, grow=2)
  )
  assert grown.name != spec.name


def test_short_frames_have_short_texts():
  lengths = tasks(frames=((36, 96), (48, 96)), frame_lengths=(6, 9))
  batches = RecordBatches(lengths, "train", 4)
  seen = {}
  for batch in itertools.islice(batches.batches(), 24):
    height = batch["encoder_input_image"].shape[1]
    room = {36: 6, 48: 9, 72: 64}[height]
    for name in ("input_tokens", "target_tokens", "loss_weights"):
      assert batch[f"decoder_{name}"].shape == (4, room)
    for targets in batch["decoder_target_tokens"]:
      text = VOCABULARY.decode(targets).text
      seen.setdefault(height, []).append(len(text))
      # None is cut off.
      assert 1 in targets
  assert set(seen) == {36, 48, 72}
  # One line of one or two words of up to four letters may be too long.
  assert max(seen[36]) <= 5 and max(seen[48]) <= 8
  # As many programs as frames, whatever the texts.
  assert batches.most_shapes == 3
  assert lengths.name != tasks(frames=lengths.frames).name


def test_settings_that_do_not_fit_are_refused():
  with pytest.raises(ValueError, match="frame_lengths"):
    tasks(frames=((24, 96),), frame_lengths=(6, 9))
  with pytest.raises(ValueError, match="frame_lengths"):
    tasks(frames=((24, 96),), frame_lengths=(65,))
  with pytest.raises(ValueError, match="align"):
    tasks(align="center")
  with pytest.raises(ValueError, match="scale"):
    tasks(scale=0.0)
  source = Source("generated_words")
  with pytest.raises(ValueError, match="mixture"):
    tasks(source="", source_options={}, sources=[source])


def test_short_pages_have_small_frames_and_batches_one_shape():
  whole, small = tasks(), tasks(frames=((24, 96), (48, 96)))
  assert whole.name == dataclasses.replace(small, frames=()).name != small.name
  assert small.image_shapes == ((24, 96), (48, 96), (72, 96))
  batches = RecordBatches(small, "train", 4)
  shapes = set()
  for batch in itertools.islice(batches.batches(), 12):
    images = batch["encoder_input_image"]
    shapes.add(images.shape[1:3])
    # Three lines at most: one has two quarters of the height, two have three.
    most = {48: 1, 72: 3}[images.shape[1]]
    for targets in batch["decoder_target_tokens"]:
      assert VOCABULARY.decode(targets).text.count("\n") < most
  assert shapes == {(48, 96), (72, 96)}
  # The same page, padded, is what evaluation and prediction see.
  image = np.asarray(images[0])
  frame = small.on_largest(image)
  assert frame.shape == (72, 96, 3)
  np.testing.assert_array_equal(frame[: len(image)], image)
  assert (frame[len(image) :] == image[-1, -1]).all()


def test_a_picture_has_the_smallest_frame_that_holds_it():
  spec = tasks(compose=None, source="image_folder", source_options={}, path="x")
  spec = dataclasses.replace(spec, frames=((30, 45), (30, 60)), scale=0.5)
  for size, frame in (
    ((60, 90), (30, 45)),
    ((60, 92), (30, 60)),
    ((64, 90), (72, 96)),
    ((900, 900), (72, 96)),
  ):
    record = photo(*size)
    assert spec.shape_of(record, "recognize_page") == frame
    record = dataclasses.replace(record, text="ab")
    rng = np.random.default_rng(0)
    example = spec.build(record, "recognize_page", rng, False)
    assert example.image.shape[:2] == frame
    np.testing.assert_array_equal(
      spec.on_largest(example.image), spec.fit(record.image)[0]
    )
  with pytest.raises(ValueError, match="frames"):
    tasks(frames=((73, 96),))
