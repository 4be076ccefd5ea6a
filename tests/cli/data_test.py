"""Tests of `inksight-jax data`."""

import argparse
import json

import cv2
import pytest

from inksight_jax.cli import data
from inksight_jax.datasets.registry import DATASETS
from inksight_jax.pipeline.shards import ShardReader

GIN = """\
from __gin__ import dynamic_registration
from inksight_jax.pipeline import spec
TASKS = @spec.InkSightTasks()
from inksight_jax.text import vocabulary
spec.InkSightTasks:
  source = "generated_words"
  source_options = {"count": 6, "held_out_count": 3, "max_length": 2}
  vocabulary = @vocabulary.Vocabulary()
  image_size = 24
"""


def call(*words: str, bindings: tuple[str, ...] = ()) -> int:
  parser = argparse.ArgumentParser()
  data.add_arguments(parser)
  args = parser.parse_args(words)
  args.gin_bindings = list(bindings)
  return args.run(args)


def test_list_names_every_data_set_and_its_licence(capsys):
  assert call("list") == 0
  text = capsys.readouterr().out
  assert all(n in text and i.licence in text for n, i in DATASETS.items())
  assert call("list", "--json") == 0
  assert json.loads(capsys.readouterr().out).keys() == DATASETS.keys()


def test_show_writes_a_picture_of_the_samples(tmp_path, capsys):
  output = tmp_path / "words.png"
  words = ["show", "generated_words", "--samples=6", "--option", "count=20"]
  assert call(*words, f"--output={output}") == 0
  assert "6 of 20 records" in capsys.readouterr().out
  picture = cv2.imread(str(output))
  # Two rows of at most four pictures, with something drawn on them.
  assert picture.shape[0] > 2 * data.SHOW_SIZE
  assert picture.shape[1] > 4 * data.SHOW_SIZE
  assert (picture.min(-1) < 200).any()


def test_show_samples_from_all_over_the_data_set():
  seen = set()
  for seed in range(60):
    kept, count = data._sample(iter(range(30)), 5, seed)
    assert count == 30 and len(set(kept)) == 5
    seen |= set(kept)
  assert seen == set(range(30))
  assert data._sample(iter(range(3)), 5, 0) == ([0, 1, 2], 3)


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (["show", "unipenn"], "unipen"),
    (["show", "unipen"], "needs a path"),
    (["show", "generated_words", "--option", "count"], "NAME=VALUE"),
    (["show", "generated_words", "--option", "cuont=3"], "cuont"),
    (["show", "generated_words", "--samples=0"], "at least 1"),
  ],
)
def test_wrong_words_are_explained(words, message):
  with pytest.raises(ValueError, match=message):
    call(*words)


def test_options_are_literals_or_text():
  words = ["count=3", "words=english", "fractions=0.8,0.1,0.1", "categories=7"]
  assert data.parse_options(words) == {
    "count": 3,
    "words": "english",
    "fractions": (0.8, 0.1, 0.1),
    "categories": ("7",),
  }


def test_cache_writes_shards_of_the_recipe(tmp_path, capsys):
  gin_file = tmp_path / "tasks.gin"
  gin_file.write_text(GIN)
  folder = tmp_path / "cache"
  words = ["cache", f"--gin_file={gin_file}", f"--output_dir={folder}"]
  words += ["--workers=0", "--repeats=2", "--split=train", "--split=test"]
  bindings = ("spec.InkSightTasks.margin = 3.0",)
  assert call(*words, bindings=bindings) == 0
  table = capsys.readouterr().out
  assert "derender/train" in table and "validation" not in table
  reader = ShardReader(str(folder), "derender", "train")
  assert len(reader) == 12
  assert call(*words, "--json", bindings=bindings) == 0
  reports = json.loads(capsys.readouterr().out)
  assert reports["recognize_ink/test"]["examples"] == 3
  with pytest.raises(ValueError, match="another folder"):
    call(*words)


def test_prepare_makes_what_list_show_and_recipes_read(tmp_path, capsys):
  options = ["--option", "count=6", "--option", "held_out_count=3"]
  options += ["--option", "max_length=2"]
  here = f"--data_dir={tmp_path / 'data'}"
  words = ["prepare", "generated_words", here, "--key=made", *options]
  assert call(*words) == 0
  assert "train 6, validation 3, test 3; all 12; 0" in capsys.readouterr().out
  assert call(*words, "--json") == 0
  assert json.loads(capsys.readouterr().out)["seen"] == {"all": 12}
  assert call("list", here) == 0
  listed = capsys.readouterr().out
  assert f"present  {tmp_path / 'data' / 'made'}: train 6" in listed
  needed = sum(info.needs_path for info in DATASETS.values())
  assert listed.count("present  no\n") == needed
  assert listed.count("yes, needs no files") == len(DATASETS) - needed - 1
  (tmp_path / "data" / "made" / "store.json").rename(tmp_path / "store.json")
  assert call("list", here, "--json") == 0
  state = json.loads(capsys.readouterr().out)["generated_words"]["prepared"]
  assert list(state.values()) == [{"finished": False}]
  (tmp_path / "store.json").rename(tmp_path / "data" / "made" / "store.json")
  store = f"--path={tmp_path / 'data' / 'made'}"
  assert (
    call("show", "generated_words", store, f"--output={tmp_path}/a.png") == 0
  )
  assert "6 of 6 records" in capsys.readouterr().out


def test_vocabulary_reports_the_recipes_texts(tmp_path, capsys):
  gin_file = tmp_path / "tasks.gin"
  gin_file.write_text(GIN)
  words = ["vocabulary", f"--gin_file={gin_file}", "--samples=4"]
  assert call(*words) == 0
  assert "bytes by script: LATIN 100.0%" in capsys.readouterr().out
  assert call(*words, "--json") == 0
  report = json.loads(capsys.readouterr().out)
  assert report["components"]["derender"]["records"] == 6
