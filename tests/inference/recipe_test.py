"""gin files to objects: round trip, precedence, and errors of one line."""

import pathlib
import shutil

import pytest

from inksight_jax.inference import recipe

HEADER = "from __gin__ import dynamic_registration\n"


def test_a_model_directory_gives_back_the_same_recipe(
  tiny_gin: str, tmp_path: pathlib.Path
):
  recipe.parse([tiny_gin], ["DROPOUT_RATE = 0.25"])
  built = recipe.build()
  built.save(tmp_path / "a")
  # Another configuration in between, and the folder somewhere else.
  recipe.parse([tiny_gin], ["IMAGE_SIZE = 16"])
  shutil.move(tmp_path / "a", tmp_path / "b")
  read = recipe.read(tmp_path / "b")
  assert read.tasks == built.tasks
  assert read.model.module == built.model.module
  assert read.model.module.config.vit.dropout_rate == 0.25
  assert read.config == built.config
  read.save(tmp_path / "c")
  assert recipe.read(tmp_path / "c").tasks == built.tasks


def test_the_vocabulary_beside_the_model_is_used(
  tiny_gin: str, tmp_path: pathlib.Path
):
  import sentencepiece

  text = tmp_path / "text.txt"
  text.write_text("abc abd bcd\n" * 50)
  prefix = tmp_path / "pieces"
  sentencepiece.SentencePieceTrainer.Train(
    input=str(text), model_prefix=str(prefix), vocab_size=9, minloglevel=2
  )
  binding = (
    HEADER
    + "from inksight_jax.text import codecs\n"
    + "from inksight_jax.text import vocabulary\n"
    + f"include {tiny_gin!r}\n"
    + "vocabulary.Vocabulary.text = @codecs.SentencePieceCodec()\n"
    + f'codecs.SentencePieceCodec.path = "{prefix}.model"\n'
  )
  (tmp_path / "run.gin").write_text(binding)
  recipe.parse([str(tmp_path / "run.gin")])
  built = recipe.build()
  built.save(tmp_path / "model")
  (tmp_path / "pieces.model").unlink()
  read = recipe.read(tmp_path / "model")
  assert read.tasks.vocabulary.size == built.tasks.vocabulary.size
  word = built.tasks.vocabulary.encode_text("abcd")
  assert read.tasks.vocabulary.encode_text("abcd") == word


def test_later_bindings_win(tiny_gin: str, tmp_path: pathlib.Path):
  (tmp_path / "second.gin").write_text("IMAGE_SIZE = 64\nCANVAS = 48\n")
  recipe.parse([tiny_gin, str(tmp_path / "second.gin")], ["CANVAS = 40"])
  tasks = recipe.build().tasks
  assert (tasks.image_size, tasks.canvas) == (64, 40)


def test_parsing_forgets_what_was_parsed_before(tiny_gin: str):
  recipe.parse([tiny_gin], ["DROPOUT_RATE = 0.5"])
  recipe.parse([tiny_gin])
  assert recipe.resolve("DROPOUT_RATE") == 0.0


@pytest.mark.parametrize(
  ("override", "message"),
  [
    ("IMAGE_SZIE = 3", "IMAGE_SZIE.*did you mean IMAGE_SIZE"),
    ("IMAGE_SIZE = abc", "'abc' is not a gin value.*quoted string"),
    ("IMAGE_SIZE = (1", "is not a gin value"),
    ("InkSightTasks.image_siz = 3", "did you mean image_size"),
    ("ViTConfig.zzz = 3", "'zzz'; it has .*patch_size"),
    ("InkSightTask.image_size = 3", "did you mean InkSightTasks"),
    ("DROPOUT_RATE = %DROPUOT", "%DROPUOT is used but not defined"),
    ("InkSightTasks.padding = 'red'", "must be one of paper, black, white"),
  ],
)
def test_a_wrong_override_gives_one_clear_line(
  tiny_gin: str, override: str, message: str
):
  with pytest.raises(ValueError, match=message) as caught:
    recipe.parse([tiny_gin], [override])
    recipe.build()
  assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
  ("text", "message"),
  [
    ("from inksight_jax.networks import vitt\n", "vitt.*line 2"),
    (
      "from inksight_jax.networks import vit\nvit.ViTConfg.depth = 3\n",
      "ViTConfg.*line 3.*did you mean ViTConfig",
    ),
    (
      "from inksight_jax.networks import vit\nvit.ViTConfig.detph = 3\n",
      "detph.*line 3.*did you mean depth",
    ),
    ("include 'gin/nope.gin'\n", "nope.gin.*line 2"),
    ("A = (3\n", "wrong.gin"),
    ("A = 3 4\n", "wrong.gin|line 2"),
    ("A = %gin.REQUIRED\n", "leaves open: A.*--gin.A="),
  ],
)
def test_a_wrong_file_gives_one_clear_line(
  tmp_path: pathlib.Path,
  text: str,
  message: str,
  caplog: pytest.LogCaptureFixture,
):
  file = tmp_path / "wrong.gin"
  file.write_text(HEADER + text)
  with pytest.raises(ValueError, match=message) as caught:
    recipe.parse([str(file)])
  assert len(str(caught.value).splitlines()) == 1
  assert not caplog.records


def test_what_is_missing_is_named(tmp_path: pathlib.Path, tiny_gin: str):
  with pytest.raises(ValueError, match=r"no gin file 'gin/nope.gin'"):
    recipe.parse(["gin/nope.gin"])
  with pytest.raises(ValueError, match=r"no config.gin in"):
    recipe.read(tmp_path)
  recipe.parse([])
  with pytest.raises(ValueError, match="defines no TASKS"):
    recipe.build()
  with pytest.raises(ValueError, match=r"bind no argument of .*describe_error"):
    recipe.configured(recipe.describe_error)


def test_shipped_files_are_found_from_any_folder(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match=r"leaves open: .*IMAGE_SIZE"):
    recipe.parse(["gin/networks/inksight.gin"])


FINETUNE = "gin/recipes/finetune.gin"


def test_files_without_a_network_take_that_of_a_model(
  model_dir: pathlib.Path, tmp_path: pathlib.Path
):
  base = recipe.read(model_dir)
  data = f"DATA_PATH = {str(tmp_path)!r}"
  recipe.parse([FINETUNE], [data, "TRAIN_STEPS = 7"], base=model_dir)
  built = recipe.build()
  assert built.model.module == base.model.module
  assert built.tasks.vocabulary == base.tasks.vocabulary
  assert built.tasks.image_size == base.tasks.image_size
  assert (built.tasks.source, built.tasks.path) == (
    "inkml_folder",
    str(tmp_path),
  )
  assert recipe.resolve("TRAIN_STEPS") == 7
  # What comes of it describes itself, and can be gone on from in turn.
  built.save(tmp_path / "first")
  assert recipe.read(tmp_path / "first").tasks == built.tasks
  recipe.parse(
    [FINETUNE], [data, 'SOURCE = "image_folder"', "RATES = {'r': 1.0}"],
    base=tmp_path / "first",
  )  # fmt: skip
  with pytest.raises(ValueError, match="Unknown task 'r'"):
    recipe.build()
  recipe.parse([FINETUNE], ["DATA_PATH = '/2'"], base=tmp_path / "first")
  assert recipe.build().tasks.path == "/2"
  assert recipe.build().tasks.rates == base.tasks.rates


def test_files_with_a_network_do_not_read_the_model(
  tiny_gin: str, tmp_path: pathlib.Path
):
  recipe.parse([tiny_gin], ["IMAGE_SIZE = 64"], base=tmp_path / "absent")
  assert recipe.build().tasks.image_size == 64


def test_fine_tuning_asks_for_a_model(tmp_path: pathlib.Path):
  with pytest.raises(ValueError, match=r"no network here.*--load=DIR"):
    recipe.parse([FINETUNE], ["DATA_PATH = 'x'"])
  with pytest.raises(ValueError, match=r"There is no config.gin in"):
    recipe.parse([FINETUNE], ["DATA_PATH = 'x'"], base=tmp_path)
