"""Whether exported files write the very tokens of the predictor.

The steps in the middle run where this project cannot be imported, the first of
them where JAX cannot be either:

  python benchmarks/export_parity.py reference --model_dir=M --work=W
  inksight-jax export --model_dir=M --output_dir=W/saved_model
  inksight-jax export --model_dir=M --output_dir=W/stablehlo --format=stablehlo
  TF_PYTHON benchmarks/export_parity.py saved_model --work=W
  JAX_PYTHON benchmarks/export_parity.py stablehlo --work=W
  python benchmarks/export_parity.py report --model_dir=M --work=W

`reference` draws held-out samples, enlarges them to odd sizes, stores them as
JPEG and decodes them by three prompts; the SavedModel gets the files, StableHLO
what the predictor made of them. `report` counts equal answers of either, as far
as they are there; for each that differs it measures, by teacher forcing, how
far apart the two tokens were where they first differ.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import time
from typing import Any

import numpy as np

PICTURES = 64
# What the processes of exported files must not have.
FOREIGN = ("flax", "orbax", "optax", "inksight_jax", "cv2", "PIL")
BESIDES = {
  "saved_model": ("jax", "jaxlib"),
  "stablehlo": ("tensorflow", "tensorflow_text"),
}


def tasks_and_prompts(text: str) -> list[tuple[str, str, str]]:
  """Task, its text, the prompt that says both."""
  return [
    ("derender", "", "Derender the ink."),
    ("recognize_and_derender", "", "Recognize and derender."),
    ("derender_with_text", text, f"Derender the ink: {text}"),
  ]


def reference(model_dir: str, work: pathlib.Path, batch_size: int) -> None:
  """Writes requests.npz: files and prompts; answers.npz: our tokens."""
  import io

  from PIL import Image

  from inksight_jax.inference import held_out, predictor

  model = predictor.load(model_dir, batch_size=batch_size)
  drawn = held_out.held_out_samples(model.tasks, "test", PICTURES, 0)
  samples = drawn["recognize_and_derender"][:PICTURES]
  rng = np.random.default_rng(0)
  files, prompts, prepared = [], [], {}
  asked: list[tuple[str, str]] = []
  for sample in samples:
    height, width = rng.integers(30, 300, 2).tolist()
    image = Image.fromarray(sample.example.image).resize((width, height))
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    for task, text, prompt in tasks_and_prompts(sample.text):
      files.append(stream.getvalue())
      prompts.append(prompt)
      asked.append((task, text))
      prepared[len(files) - 1] = model.prepare(
        Image.open(io.BytesIO(stream.getvalue()))
      )
  requests = [
    model.request(prepared[i], task, text)
    for i, (task, text) in enumerate(asked)
  ]
  results = model.predict_requests(requests)
  work.mkdir(parents=True, exist_ok=True)
  np.savez(
    work / "requests.npz",
    files=np.array(files, object),
    prompts=np.array([p.encode() for p in prompts], object),
    batch_size=batch_size,
  )
  np.savez(
    work / "answers.npz",
    tokens=np.array([r.tokens for r in results], object),
    images=np.stack([r.prepared.image for r in requests]),
    inputs=np.array([r.inputs for r in requests], object),
    tasks=np.array([r.task for r in requests]),
  )


def saved_model(work: pathlib.Path) -> None:
  """Asks the SavedModel, with TensorFlow and tensorflow-text alone."""
  block("saved_model")
  import tensorflow as tf
  import tensorflow_text

  with np.load(work / "requests.npz", allow_pickle=True) as file:
    files, prompts = file["files"].tolist(), file["prompts"].tolist()
    size = int(file["batch_size"])
  start = time.perf_counter()
  model = tf.saved_model.load(str(work / "saved_model"))
  loaded = time.perf_counter()
  tokens, texts = [], []
  for first in range(0, len(files), size):
    rows = slice(first, first + size)
    inputs = {
      "input_text": tf.constant(prompts[rows]),
      "image/encoded": tf.constant(files[rows])[:, tf.newaxis],
    }
    answer = model.signatures["ink"](**inputs)
    strings = model.signatures["serving_default"](**inputs)["output_0"]
    texts += strings.numpy()[:, 0].tolist()
    for row, count in zip(
      answer["tokens"].numpy(), answer["token_count"].numpy(), strict=True
    ):
      tokens.append(row[:count])
  about = {
    "tensorflow": tf.__version__,
    "tensorflow_text": tensorflow_text.__version__,
    "load_seconds": round(loaded - start, 2),
    "run_seconds": round(time.perf_counter() - loaded, 2),
    "with_ink": sum(b"<ink_token_" in text for text in texts),
  }
  keep(work, "saved_model", tokens, about)


def stablehlo(work: pathlib.Path) -> None:
  """Asks the StableHLO file by the class of its own load.py, with JAX alone."""
  block("stablehlo")
  import jax

  folder = work / "stablehlo"
  sys.path.insert(0, str(folder))
  import load  # pyright: ignore[reportMissingImports]

  start = time.perf_counter()
  model = load.Model(folder)
  loaded = time.perf_counter()
  with np.load(work / "answers.npz", allow_pickle=True) as file:
    images, prompts, tasks = file["images"], file["inputs"], file["tasks"]
  with np.load(work / "requests.npz", allow_pickle=True) as file:
    size = int(file["batch_size"])
  infos = [model.about["prompts"][task] for task in tasks]
  prompt = np.zeros((len(images), model.about["prompt_length"]), np.int32)
  for row, ids in enumerate(prompts):
    prompt[row, : len(ids)] = ids
  inputs = {
    "image": images,
    "prompt": prompt,
    "writes_text": np.array([info["writes_text"] for info in infos]),
    "writes_ink": np.array([info["writes_ink"] for info in infos]),
  }
  tokens = []
  for first in range(0, len(images), size):
    rows = slice(first, first + size)
    batch = {name: inputs[name][rows] for name in model.about["inputs"]}
    answer = jax.device_get(model.run(model.weights, batch))
    for row, count in zip(answer["tokens"], answer["lengths"], strict=True):
      tokens.append(row[:count])
  about = {
    "python": sys.version.split()[0],
    "jax": jax.__version__,
    "load_seconds": round(loaded - start, 2),
    "run_seconds": round(time.perf_counter() - loaded, 2),
  }
  keep(work, "stablehlo", tokens, about)


def block(kind: str) -> None:
  """Makes packages impossible to import."""
  sys.modules.update(dict.fromkeys((*FOREIGN, *BESIDES[kind])))


def keep(
  work: pathlib.Path, kind: str, tokens: list[Any], about: dict[str, Any]
) -> None:
  """Stores the answers of exported files for `report`."""
  np.savez(work / f"{kind}_answers.npz", tokens=np.array(tokens, object))
  text = json.dumps(about)
  (work / f"{kind}.json").write_text(text, encoding="utf-8")
  print(text)


def report(model_dir: str, work: pathlib.Path) -> None:
  """Prints how many answers are equal, and the margins of the others."""
  for kind in BESIDES:
    if (work / f"{kind}.json").is_file():
      compare(kind, model_dir, work)


def compare(kind: str, model_dir: str, work: pathlib.Path) -> None:
  """`report` for one kind of export."""
  ours, theirs = (
    np.load(work / name, allow_pickle=True)
    for name in ("answers.npz", f"{kind}_answers.npz")
  )
  pairs = list(zip(ours["tokens"], theirs["tokens"], strict=True))
  differing = [i for i, (a, b) in enumerate(pairs) if not np.array_equal(a, b)]
  margins = [margin(model_dir, ours, row, pairs[row][1]) for row in differing]
  about = json.loads((work / f"{kind}.json").read_text(encoding="utf-8"))
  print(
    json.dumps(
      about
      | {
        "sequences": len(pairs),
        "equal": len(pairs) - len(differing),
        "tokens": int(sum(len(a) for a, _ in pairs)),
        "margins_of_the_others": margins,
      },
      indent=2,
    )
  )


def margin(model_dir: str, ours: Any, row: int, other: Any) -> float:
  """Log-probability between two tokens where two answers part."""
  import jax

  from inksight_jax.inference import predictor

  model = predictor.load(model_dir)
  tokens = ours["tokens"][row]
  shared = min(len(tokens), len(other))
  at = int(np.argmax(tokens[:shared] != other[:shared]))
  tasks = model.tasks
  targets = np.zeros((1, tasks.target_length), np.int32)
  targets[0, 1 : at + 1] = tokens[:at]
  prompt = np.zeros((1, tasks.prompt_length), np.int32)
  prompt[0, : len(ours["inputs"][row])] = ours["inputs"][row]
  logits = model.model.module.apply(
    {"params": model.params},
    encoder_input_image=ours["images"][row][None],
    encoder_input_tokens=prompt,
    decoder_input_tokens=targets,
    enable_dropout=False,
  )
  log_probs = jax.nn.log_softmax(logits[0, at])
  return float(log_probs[tokens[at]] - log_probs[other[at]])


def main() -> None:
  """Runs one of the steps."""
  parser = argparse.ArgumentParser(description=__doc__)
  steps = ("reference", *BESIDES, "report")
  parser.add_argument("step", choices=steps)
  parser.add_argument("--work", type=pathlib.Path, required=True)
  parser.add_argument("--model_dir")
  parser.add_argument("--batch_size", type=int, default=32)
  args = parser.parse_args()
  if args.step == "reference":
    reference(args.model_dir, args.work, args.batch_size)
  elif args.step == "saved_model":
    saved_model(args.work)
  elif args.step == "stablehlo":
    stablehlo(args.work)
  else:
    report(args.model_dir, args.work)


if __name__ == "__main__":
  main()
