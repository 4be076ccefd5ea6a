"""The real T5X trains, resumes, evaluates and predicts with our objects.

Skipped where T5X is not installed; docs/t5x.md says what it needs. Minutes of
compilation, so the runs are as short as they can be.
"""

import json
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
RECIPE = "inksight_quickstart"
STEPS = 4
EXAMPLES = 8


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory, run_t5x):
  """Four steps in both loops, T5X's stopped after two and resumed."""
  folder = tmp_path_factory.mktemp("equality") / "work"
  output = run_t5x(
    "benchmarks/t5x_equality.py",
    f"--work_dir={folder}",
    f"--steps={STEPS}",
    f"--stop_at={STEPS // 2}",
    f"--eval_examples={EXAMPLES}",
  )
  # Exit code 0: the losses of every step agree.
  assert f"| {STEPS} |" in output and "largest difference" in output
  return folder


def metrics(folder):
  """Task to its metrics at the last step."""
  found = {}
  for path in (folder / "inference_eval").glob("*-metrics.jsonl"):
    lines = path.read_text(encoding="utf-8").splitlines()
    found[path.name] = json.loads(lines[-1])
  return found


def of_recipe(file):
  return [
    f"--gin_file=gin/recipes/{RECIPE}.gin",
    f"--gin_file=gin/t5x/{file}.gin",
  ]


def test_evaluation_of_a_checkpoint_repeats_that_of_training(
  run_t5x, work_dir, tmp_path
):
  run_t5x(
    "-m",
    "t5x.eval",
    *of_recipe("eval"),
    CHECKPOINT_PATH=str(work_dir / "t5x" / f"checkpoint_{STEPS}"),
    EVAL_OUTPUT_DIR=str(tmp_path),
    SPLIT="validation",
    EVAL_EXAMPLES=EXAMPLES,
    BATCH_SIZE=8,
  )
  got = metrics(tmp_path)
  assert got == metrics(work_dir / "t5x")
  # Text, ink or both, for the four tasks of the recipe.
  keys = [values.keys() for values in got.values()]
  assert len(keys) == 4
  assert sum("cer" in names for names in keys) == 2
  assert sum("aiou" in names for names in keys) == 3


def test_predictions_are_written_for_every_example(run_t5x, work_dir, tmp_path):
  # Three letters fit the prompt of derender_with_text.
  options = {"count": 8, "held_out_count": 5, "max_length": 3}
  run_t5x(
    "-m",
    "t5x.infer",
    *of_recipe("infer"),
    **{"spec.InkSightTasks.source_options": options},
    CHECKPOINT_PATH=str(work_dir / "t5x" / f"checkpoint_{STEPS}"),
    INFER_OUTPUT_DIR=str(tmp_path),
    BATCH_SIZE=8,
  )
  files = sorted(tmp_path.glob("*-predict.jsonl-00000-of-00001"))
  assert len(files) == 4
  for path in files:
    lines = [json.loads(x) for x in path.read_text("utf-8").splitlines()]
    assert len({line["inputs"]["id"] for line in lines}) == len(lines) == 5
    assert all(isinstance(line["prediction"], str) for line in lines)
