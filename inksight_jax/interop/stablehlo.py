"""One file that JAX alone runs: program and weights.

Written by `jax.export`, so Flax, this project and its configuration are not
needed to run it; `load.py` beside it shows how.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from inksight_jax.interop.lowering import Lowered, lower
from inksight_jax.text.codecs import NUM_SPECIAL_IDS, ByteCodec, TextCodec

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

MODEL_FILE = "model.npz"
ABOUT_FILE = "model.json"
LOADER_FILE = "load.py"


def save_stablehlo(
  predictor: Predictor,
  directory: str | os.PathLike[str],
  weights: str = "float32",
) -> None:
  """Writes model.npz, model.json, load.py and the vocabulary.

  Args:
    predictor: what to export.
    directory: made if absent.
    weights: "float32" or "bfloat16", how parameters are stored.

  Raises:
    ValueError: see `lower`.
  """
  folder = pathlib.Path(directory)
  folder.mkdir(parents=True, exist_ok=True)
  lowered = lower(predictor, weights)
  arrays: dict[str, Any] = {
    # Bytes, since numpy's files know no bfloat16.
    f"{number:04d}": np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    for number, array in enumerate(lowered.weights)
  }
  module = np.frombuffer(lowered.exported.serialize(), np.uint8)
  partial = folder / f"{MODEL_FILE}.partial"
  with partial.open("wb") as file:
    np.savez(file, module=module, **arrays)
  partial.replace(folder / MODEL_FILE)
  predictor.tasks.vocabulary.save(folder)
  text = json.dumps(_about(predictor, lowered), indent=2, ensure_ascii=False)
  (folder / ABOUT_FILE).write_text(text + "\n", encoding="utf-8")
  loader = pathlib.Path(__file__).with_name("stablehlo_loader.py")
  (folder / LOADER_FILE).write_text(
    loader.read_text(encoding="utf-8"), encoding="utf-8"
  )


def _about(predictor: Predictor, lowered: Lowered) -> dict[str, Any]:
  """What a program that runs the model must know beside it."""
  tasks = predictor.tasks
  vocabulary = tasks.vocabulary
  padding, align = tasks.fitting
  infos = {task: tasks.info(task) for task in tasks.tasks}
  return {
    "weights": [
      {"name": name, "shape": list(array.shape), "dtype": array.dtype.name}
      for name, array in zip(lowered.names, lowered.weights, strict=True)
    ],
    "inputs": list(lowered.inputs),
    "outputs": list(lowered.outputs),
    "image_shape": [*tasks.image_shape, 3],
    "padding": padding,
    "align": align,
    "prompt_length": tasks.prompt_length,
    "prompts": {
      task: {
        "text": info.prompt,
        "ids": tasks.prompt(task),
        "text_in_prompt": info.text_in_prompt,
        "writes_text": info.writes_text,
        "writes_ink": info.writes_ink,
      }
      for task, info in infos.items()
    },
    "first_ink_id": vocabulary.ink_offset,
    "pieces": _pieces(vocabulary.text),
    "bytes": isinstance(vocabulary.text, ByteCodec),
    "canvas": tasks.canvas,
    "platforms": list(lowered.exported.platforms),
  }


def _pieces(codec: TextCodec) -> list[str]:
  """UTF-8 bytes of each id, written as Latin-1 since JSON has no bytes."""
  if isinstance(codec, ByteCodec):
    return [""] * NUM_SPECIAL_IDS + [chr(byte) for byte in range(256)]
  texts = [codec.decode([i]) for i in range(codec.size)]
  return [text.encode("utf-8").decode("latin-1") for text in texts]
