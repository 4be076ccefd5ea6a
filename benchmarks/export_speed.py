"""Seconds of an exported SavedModel beside the predictor, and its bytes.

  python benchmarks/export_speed.py export --model_dir=M --work=W
  python benchmarks/export_speed.py measure --model_dir=M --work=W \\
    --tf_python=TF_PYTHON

`export` writes W/saved_model, whose answers do not end before `--tokens`, and
compares its bytes with those of the parameters. `measure` decodes the same
JPEG files of noise by the predictor and by the SavedModel, each in a process
of its own, TensorFlow alone in the latter; they take turns. A time is from the
bytes of the files to the inks. The first call, which compiles, is apart.
"""

from __future__ import annotations

import argparse
import io
import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import workers

# What TensorFlow's process must not have.
FOREIGN = ("jax", "jaxlib", "flax", "inksight_jax", "cv2", "PIL")
TASK = "recognize_and_derender"
# No token is this one: answers end at their length limit only.
NEVER = -1

Answer = Callable[[dict[str, Any]], dict[str, Any]]


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("step", choices=("export", "measure", *WORKERS))
  parser.add_argument("--model_dir", required=True)
  parser.add_argument("--work", type=pathlib.Path, required=True)
  parser.add_argument("--tokens", type=int, default=150)
  parser.add_argument("--batch_size", default="1,16", help="for example 1,16")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument(
    "--tf_python",
    default=sys.executable,
    metavar="PROGRAM",
    help="a Python that has TensorFlow",
  )
  return parser.parse_args()


def predictor(args: argparse.Namespace) -> Any:
  """The model, held to answers of one length."""
  from inksight_jax.inference.predictor import Predictor, load
  from inksight_jax.networks.decoding import DecodeConfig

  model = load(args.model_dir)
  return Predictor(
    model.model,
    model.params,
    model.tasks,
    batch_size=max(map(int, args.batch_size.split(","))),
    decode_config=DecodeConfig(max_length=args.tokens, eos_id=NEVER),
    constrained=True,
  )


def export(args: argparse.Namespace) -> None:
  """Writes the SavedModel and the pictures, prints sizes."""
  import jax
  from PIL import Image

  from inksight_jax.inference import recipe
  from inksight_jax.interop.export import export as export_folder

  model = predictor(args)
  start = time.perf_counter()
  folder = args.work / "saved_model"
  config = recipe.read(args.model_dir).config
  export_folder(model, config, folder, model_dir=args.model_dir)
  seconds = time.perf_counter() - start
  files = []
  for row in range(model.batch_size):
    rng = np.random.default_rng(row)
    stream = io.BytesIO()
    pixels = rng.integers(0, 256, (120, 300, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    files.append(stream.getvalue())
  prompt = model.tasks.info(TASK).prompt
  np.savez(args.work / "pictures.npz", files=np.array(files, object))
  (args.work / "prompt.txt").write_text(prompt, encoding="utf-8")
  weights = sum(leaf.nbytes for leaf in jax.tree.leaves(model.params))
  written = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
  print(
    f"exported in {seconds:.0f} s; {weights / 1e6:.1f} MB of parameters, "
    f"{written / 1e6:.1f} MB of files: {written / weights:.4f} times"
  )


def pictures(args: argparse.Namespace) -> list[bytes]:
  """What `export` stored."""
  with np.load(args.work / "pictures.npz", allow_pickle=True) as file:
    return file["files"].tolist()


def ours(args: argparse.Namespace) -> Answer:
  """The predictor."""
  model = predictor(args)
  files = pictures(args)

  def answer(question: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    prepared = [model.prepare(data) for data in files[: question["rows"]]]
    results = model.predict_prepared(prepared, TASK)
    seconds = time.perf_counter() - start
    tokens = [result.tokens.tolist() for result in results]
    return {"seconds": seconds, "tokens": tokens}

  return answer


def saved_model(args: argparse.Namespace) -> Answer:
  """What was exported, where TensorFlow is alone."""
  sys.modules.update(dict.fromkeys(FOREIGN))
  import tensorflow as tf

  files = pictures(args)
  prompt = (args.work / "prompt.txt").read_text(encoding="utf-8")
  start = time.perf_counter()
  model = tf.saved_model.load(str(args.work / "saved_model"))
  loaded = time.perf_counter() - start

  def answer(question: dict[str, Any]) -> dict[str, Any]:
    rows = question["rows"]
    start = time.perf_counter()
    outputs = model.signatures["ink"](
      **{
        "input_text": tf.constant([prompt] * rows),
        "image/encoded": tf.constant(files[:rows])[:, tf.newaxis],
      }
    )
    found = {name: value.numpy() for name, value in outputs.items()}
    seconds = time.perf_counter() - start
    return {
      "seconds": seconds,
      "tokens": found["tokens"].tolist(),
      "load": loaded,
      "tensorflow": tf.__version__,
    }

  return answer


WORKERS = {"ours": ours, "saved_model": saved_model}


def measure(args: argparse.Namespace) -> None:
  """Lets both take turns and prints how they compare."""
  options = [f"--model_dir={args.model_dir}", f"--work={args.work}"]
  options += [f"--tokens={args.tokens}", f"--batch_size={args.batch_size}"]
  both = {
    name: workers.Worker(name, [python, __file__, name, *options])
    for name, python in (
      ("ours", sys.executable),
      ("saved_model", args.tf_python),
    )
  }
  for rows in map(int, args.batch_size.split(",")):
    measured = workers.rounds(both, {"rows": rows}, args.rounds)
    (first, times), (other, other_times) = measured.values()
    medians = workers.median(times), workers.median(other_times)
    pairs = list(zip(first["tokens"], other["tokens"], strict=True))
    lengths = {len(t) for t in first["tokens"] + other["tokens"]}
    report = {
      "tensorflow": other["tensorflow"],
      "batch_size": rows,
      "tokens": sorted(lengths),
      "predictor_seconds": medians[0],
      "saved_model_seconds": medians[1],
      "ratio": medians[1] / medians[0],
      "seconds_of_rounds": [times, other_times],
      "first_call_seconds": [first["seconds"], other["seconds"]],
      "load_seconds": other["load"],
      "equal_rows": sum(a == b for a, b in pairs),
    }
    print(json.dumps(report, indent=2), flush=True)
  for worker in both.values():
    worker.close()


def main() -> None:
  """Runs one of the steps."""
  args = parse_arguments()
  if args.step in WORKERS:
    workers.serve(lambda: WORKERS[args.step](args))
  elif args.step == "export":
    export(args)
  else:
    measure(args)


if __name__ == "__main__":
  main()
