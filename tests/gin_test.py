"""Every recipe parses, builds its objects and fits together."""

import pathlib

import gin
import jax
import pytest

from inksight_jax.datasets.registry import dataset_info
from inksight_jax.inference import recipe
from inksight_jax.training import run, state

ROOT = pathlib.Path(__file__).parents[1]
RECIPES = sorted((ROOT / "gin" / "recipes").glob("*.gin"))
# It goes on from a trained model, see tests/inference/recipe_test.py and
# tests/cli/finetune_test.py.
FINETUNE = ROOT / "gin" / "recipes" / "finetune.gin"
RECIPES.remove(FINETUNE)

# What recipes leave to their users, as far as a test can give it.
LEFT_OPEN = {
  "DATA_PATH": '"absent"',
  "SOURCE": '"generated_words"',
  "SENTENCEPIECE_MODEL": '"absent"',
  "VIT_WEIGHTS": '"absent"',
  "RECOGNIZER": '"absent"',
}


def _parse(path: pathlib.Path) -> None:
  recipe.parse([str(path)], complete=False)
  config = gin.config_str()
  overrides = [
    f"{name} = {value}"
    for name, value in LEFT_OPEN.items()
    if f"{name} = %gin.REQUIRED" in config or name == "DATA_PATH"
  ]
  if "alphabet.training_characters" in config:
    overrides.append('CHARACTERS = "0123456789"')
  if "SENTENCEPIECE_MODEL = " in config:
    # Its size is fixed, so any smaller vocabulary stands in for the file.
    overrides.append("vocabulary.Vocabulary.text = @codecs.ByteCodec()")
  recipe.parse([str(path)], overrides)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_builds_a_model_that_fits_its_tasks(path: pathlib.Path):
  _parse(path)
  built = recipe.build()
  tasks, vocabulary = built.tasks, built.tasks.vocabulary
  variables = jax.eval_shape(
    lambda: built.model.get_initial_variables(
      jax.random.key(0), tasks.input_shapes(2)
    )
  )
  params = variables["params"]
  tables = {
    **params.get("decoder", {}),
    **params.get("recognizer", {}),
    **params,
  }
  if "token_embedder" in tables:
    rows = tables["token_embedder"]["embedding"].shape[0]
  elif "logits_dense" in tables:
    rows = tables["logits_dense"]["kernel"].shape[1]
  else:
    # A VQ-VAE reads nothing; it has to fit the canvases of its tasks.
    assert {side % built.model.patch for side in tasks.image_shape} == {0}
    assert tasks.patch == built.model.patch
    rows = vocabulary.size
  assert vocabulary.size <= rows
  limit = recipe.resolve("VOCAB_SIZE", None)
  assert rows == limit or rows < vocabulary.size + 128
  # The prompts have to fit before any data is read.
  longest = max(len(tasks.prompt(task)) for task in tasks.tasks)
  assert longest <= tasks.prompt_length
  # The optimiser builds, with a state for every parameter.
  optimizer = recipe.resolve("OPTIMIZER")
  jax.eval_shape(optimizer.init, variables["params"])
  assert recipe.configured(run.train) is not None
  # What is frozen never leaves its random start.
  if recipe.resolve("FREEZE_IMAGE_ENCODER", False):
    assert recipe.resolve("INITIAL_WEIGHTS", None) is not None


def test_there_are_recipes_and_no_package_in_the_gin_folder():
  assert len(RECIPES) >= 3
  # An __init__.py would hide the gin library from whoever stands in the root.
  assert not list((ROOT / "gin").rglob("*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_has_its_t5x_file(path: pathlib.Path):
  twin = ROOT / "gin" / "t5x" / path.name
  of_inksight = "gin/networks/inksight.gin" in path.read_text(encoding="utf-8")
  if not of_inksight and not twin.exists():
    pytest.skip("another network")
  assert twin.exists(), (
    f"copy gin/t5x/{RECIPES[0].name}, name {path.name} in it"
  )
  lines = twin.read_text(encoding="utf-8").splitlines()
  included = [line for line in lines if line and not line.startswith("#")]
  # What a run is stands in the recipe alone; T5X's part follows it, and may be
  # followed by what only T5X has, FSDP_AXIS for example.
  assert included[:2] == [
    f'include "gin/recipes/{path.name}"',
    'include "gin/t5x/train.gin"',
  ]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_t5x_gives_a_recipes_model_what_only_t5x_reads(path: pathlib.Path):
  _parse(path)
  kind = type(recipe.build().model)
  parts = (ROOT / "gin" / "t5x" / "parts.gin").read_text(encoding="utf-8")
  name = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
  assert f"{name}:\n  feature_converter_cls = %FEATURE_CONVERTER\n" in parts


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_names_its_schedule_for_t5x_to_report(path: pathlib.Path):
  _parse(path)
  schedule = recipe.resolve("SCHEDULE")
  last = recipe.resolve("TRAIN_STEPS") - 1
  assert 0 <= float(schedule(last)) < float(schedule(last // 4))


@pytest.mark.parametrize("name", ["public", "open"])
def test_a_mixture_names_data_sets_and_options_that_exist(name: str):
  network = ["gin/networks/inksight.gin", "gin/sizes/inksight_nano.gin"]
  sizes = ["IMAGE_SIZE = 64", "CANVAS = 64", "INPUT_LENGTH = 64"]
  bindings = ['DATA_PATH = "/data"', *sizes, "TARGET_LENGTH = 128"]
  files = [*network, f"gin/tasks/inksight_{name}.gin"]
  recipe.parse(files, bindings)
  tasks = recipe.resolve("TASKS")
  for source in tasks.sources:
    dataset_info(source.name).full_options(source.options)
    assert source.location.startswith("/data/") or not source.path
  # Every task has a source, all tasks are equally frequent.
  assert {c.task for c in tasks.components} == set(tasks.rates)
  assert set(tasks.rates.values()) == {1.0}
  # Photos only serve reading, ink never does.
  for component in tasks.components:
    photo = "image" in dataset_info(component.source.name).holds
    assert photo == (component.task == "recognize_image") or name == "open"
  # One left out, another elsewhere.
  if name == "public":
    changes = ["RIMES_PATH = None", 'IAM_PATH = "/scans"']
    recipe.parse(files, [*bindings, *changes])
    changed = {s.key: s.location for s in recipe.resolve("TASKS").sources}
    assert "rimes" not in changed and changed["iam"] == "/scans"
    assert len(changed) == len(tasks.sources) - 1


@pytest.mark.parametrize(
  ("name", "millions"),
  [("small_p", 340), ("small_i", 340), ("large_i", 1000)],
)
def test_the_published_sizes_have_the_parameters_that_their_heads_state(
  name: str, millions: int
):
  path = ROOT / "gin" / "recipes" / f"inksight_{name}.gin"
  # As `plan` does: neither vocabulary nor data nor weights are at hand.
  recipe.parse([str(path)], complete=False)
  model = recipe.resolve("MODEL")
  shapes = {
    "encoder_input_image": (1, 224, 224, 3),
    "encoder_input_tokens": (1, recipe.resolve("INPUT_LENGTH")),
    "decoder_input_tokens": (1, 8),
    "decoder_target_tokens": (1, 8),
  }
  params = jax.eval_shape(
    lambda: model.get_initial_variables(jax.random.key(0), shapes)
  )["params"]
  total = state.count_parameters(params)
  frozen = state.count_parameters(params["image_encoder"])
  head = path.read_text(encoding="utf-8").split("from __gin__")[0]
  assert f"{total:,} parameters" in head.replace("\n# ", " ")
  assert f"{total - frozen:,} are trained" in head.replace("\n# ", " ")
  assert abs(total / 1e6 - millions) < 0.1 * millions


def test_readers_of_digits_are_small_and_mnist_must_be_given():
  readers = [
    path
    for path in RECIPES
    if path.stem.startswith("sequence_") and path.stem != "sequence_mnist_trocr"
  ]
  assert len(readers) == 4
  for path in readers:
    _parse(path)
    built = recipe.build()
    shapes = built.tasks.input_shapes(1)
    model = built.model
    variables = jax.eval_shape(
      lambda model=model, shapes=shapes: model.get_initial_variables(
        jax.random.key(0), shapes
      )
    )
    assert state.count_parameters(variables["params"]) < 500_000
    assert built.tasks.tasks == ("read_digits",)
    if "mnist" in path.stem:
      with pytest.raises(ValueError, match="DATA_PATH"):
        recipe.parse([str(path)])


def test_the_network_of_inksight_reads_pages_by_gin_alone():
  files = ["networks/page_reader_inksight", "sizes/inksight_small"]
  recipe.parse(
    [f"gin/{name}.gin" for name in (*files, "tasks/pages")],
    ["IMAGE_SIZE = (64, 128)", "TARGET_LENGTH = 32", 'SOURCE = "unipen"'],
  )
  built = recipe.build()
  shapes = built.tasks.input_shapes(2)
  params = jax.eval_shape(
    lambda: built.model.get_initial_variables(jax.random.key(0), shapes)
  )["params"]
  assert {"image_encoder", "encoder", "decoder"} <= set(params)
  assert shapes["encoder_input_image"] == (2, 64, 128, 3)
  assert "encoder_input_tokens" not in shapes


def test_the_encoder_of_pages_is_chosen_by_name():
  sizes = {}
  for encoder in ("18", "34", "50"):
    recipe.parse(
      ["gin/recipes/fphtr_iam_line.gin"],
      ['DATA_PATH = "absent"', f'ENCODER = "{encoder}"', "CELL = (32, 16)"],
    )
    built = recipe.build()
    assert built.model.module.config.resnet.stride == (32, 16)
    shapes = built.tasks.input_shapes(1)
    params = jax.eval_shape(
      lambda built=built, shapes=shapes: built.model.get_initial_variables(
        jax.random.key(0), shapes
      )
    )["params"]
    sizes[encoder] = state.count_parameters(params["image_encoder"])
  # The published 11.2, 21.3 and 23.5 million without their last layers, with a
  # projection to 256 and a grey input.
  for encoder, millions in (("18", 11.3), ("34", 21.4), ("50", 24.0)):
    assert sizes[encoder] / 1e6 == pytest.approx(millions, rel=0.01)
