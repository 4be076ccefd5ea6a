"""The TFDS shell gives back what the readers yield."""

import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.registry import DATASETS, load_records
from inksight_jax.datasets.tfds_builder import (
  builder_class,
  config_name,
  tfds_builder,
)

# Importing TFDS warns of its own and its friends' old habits.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def tfds():
  return pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def manual_dir(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  folder = tmp_path / "manual" / "image_folder"
  for split in ("train", "test"):
    for number in range(3):
      draw(folder / split / f"w{number}.png", 20 + number, 10)
      (folder / split / f"w{number}.txt").write_text(f"{split} é {number}")
  return tmp_path / "manual"


def test_examples_equal_records(tfds, tmp_path, manual_dir: pathlib.Path):
  builder = tfds_builder("image_folder", tmp_path / "tfds", encoding="utf-8")
  builder.download_and_prepare(
    download_config=tfds.download.DownloadConfig(manual_dir=manual_dir)
  )
  assert set(builder.info.splits) == {"train", "test"}
  assert "labels.csv" in builder.MANUAL_DOWNLOAD_INSTRUCTIONS
  for split in ("train", "test"):
    found = {
      e["id"].decode(): e
      for e in builder.as_dataset(split=split).as_numpy_iterator()
    }
    records = list(
      load_records("image_folder", manual_dir / "image_folder", split)
    )
    assert len(found) == len(records) == 3
    for record in records:
      assert found[record.id]["text"].decode() == record.text
      np.testing.assert_array_equal(found[record.id]["image"], record.image)


def test_ink_comes_back_point_by_point(tfds, tmp_path: pathlib.Path):
  options = {"count": 2, "held_out_count": 1}
  builder = tfds_builder("generated_words", tmp_path / "tfds", **options)
  builder.download_and_prepare()
  found = {
    e["id"].decode(): e["ink"]
    for e in builder.as_dataset(split="train").as_numpy_iterator()
  }
  for record in load_records("generated_words", "", "train", **options):
    ink = found[record.id]
    for number, stroke in enumerate(record.ink.strokes):
      own = ink["stroke_id"] == number
      points = np.stack([ink["x"][own], ink["y"][own]], 1)
      np.testing.assert_allclose(points, stroke.points, atol=1e-3)
      np.testing.assert_allclose(ink["t"][own], stroke.times, rtol=1e-6)


def test_every_data_set_has_a_builder(tfds, tmp_path: pathlib.Path):
  for name, info in DATASETS.items():
    builder = tfds_builder(name, tmp_path)
    assert builder.name == f"handwriting_{name}"
    assert builder_class(name) is type(builder)
    assert info.citation in builder.info.citation
    assert "image" not in info.holds or {"image", "images"} & set(
      builder.info.features
    )


def test_options_name_the_config():
  assert config_name({}) == "default"
  names = {config_name({"level": level}) for level in ("word", "line")}
  assert len(names) == 2 and any(n.startswith("word_") for n in names)
  with pytest.raises(ValueError, match="has no option size"):
    tfds_builder("iam", size=3)
