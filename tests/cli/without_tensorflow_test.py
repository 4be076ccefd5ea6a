"""Training, evaluation and prediction where TensorFlow is not installed."""

import os
import pathlib
import subprocess
import sys
import textwrap

import cv2

from inksight_jax.datasets.generated import read_generated_words
from inksight_jax.ink.normalize import fit_placement
from inksight_jax.rendering.strokes import draw_ink

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = textwrap.dedent(
  """
  import sys

  BLOCKED = ("tensorflow", "tensorflow_text", "tensorflow_datasets", "seqio",
             "t5", "t5x")
  # As if not installed: importing raises, find_spec finds nothing.
  sys.modules.update(dict.fromkeys(BLOCKED))
  from inksight_jax.cli.main import main

  run, image, out, *train = sys.argv[1:]
  codes = [
    main(["--debug", "train", f"--model_dir={run}", *train]),
    main(["evaluate", f"--model_dir={run}", "--samples=4", "--pictures=2"]),
    main(["predict", f"--model_dir={run}", image, f"--output_dir={out}"]),
  ]
  loaded = [name for name in BLOCKED if sys.modules[name] is not None]
  if any(codes) or loaded:
    sys.exit(f"exit codes {codes}, loaded {loaded}")
  """
)


def test_train_evaluate_and_predict_need_no_tensorflow(
  train_words: list[str], tmp_path: pathlib.Path
):
  ink = next(read_generated_words(1)).ink
  placed = fit_placement(ink.bounds, 60, 5.0).apply(ink)
  image = tmp_path / "word.png"
  cv2.imwrite(str(image), draw_ink(placed, 60, 60))
  out = tmp_path / "out"
  # One device: nothing here is about several.
  environment = {**os.environ, "XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
  done = subprocess.run(
    [
      sys.executable,
      "-c",
      PROGRAM,
      str(tmp_path / "run"),
      str(image),
      str(out),
      *train_words[1:],
    ],
    env=environment,
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-2000:]
  assert (tmp_path / "run" / "metrics.json").is_file()
  assert {path.suffix for path in out.iterdir()} == {
    ".inkml",
    ".svg",
    ".png",
    ".gif",
    ".json",
    ".html",
    ".jsonl",
  }
