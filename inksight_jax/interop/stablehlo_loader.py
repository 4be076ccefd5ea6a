"""Runs an exported model with jax, numpy and flatbuffers, nothing else.

python load.py PICTURE.npy [TASK] [TEXT]   (the picture: see docs/export.md)
"""

import json
import pathlib
import sys

import jax
import numpy as np


class Model:
  """A folder that `inksight-jax export --format=stablehlo` wrote."""

  def __init__(self, folder: pathlib.Path) -> None:
    self.about = json.loads((folder / "model.json").read_text("utf-8"))
    self.ids = {piece: i for i, piece in enumerate(self.about["pieces"])}
    with np.load(folder / "model.npz") as file:
      program = jax.export.deserialize(bytearray(file["module"].tobytes()))
      arrays = [
        file[f"{i:04d}"].view(w["dtype"]).reshape(w["shape"])
        for i, w in enumerate(self.about["weights"])
      ]
    self.weights = jax.device_put(tuple(arrays))
    self.run = jax.jit(program.call)

  def answer(self, picture: np.ndarray, task: str, text: str = "") -> tuple:
    """Text, and strokes as lists of (x, y) in pixels of the picture."""
    about, how = self.about, self.about["prompts"][task]
    ids = how["ids"] + self.encode(text) * how["text_in_prompt"]
    room = about["prompt_length"] - len(ids)
    inputs = {
      "image": picture[None],
      "prompt": np.array([ids + [0] * room], np.int32),
      "writes_text": np.array([how["writes_text"]]),
      "writes_ink": np.array([how["writes_ink"]]),
    }
    out = self.run(self.weights, {k: inputs[k] for k in about["inputs"]})
    out = {name: np.asarray(value[0]) for name, value in out.items()}
    letters = [i for i in out["tokens"] if i < about["first_ink_id"]]
    raw = "".join(about["pieces"][i] for i in letters)
    text = raw.encode("latin-1").decode("utf-8", "replace")
    numbers = out.get("strokes", np.array([-1]))
    points = out.get("points", 0) * (max(picture.shape) / about["canvas"])
    ink = [points[numbers == n].tolist() for n in range(numbers.max() + 1)]
    return text, ink

  def encode(self, text: str) -> list[int]:
    """Ids of a text; SentencePiece models: use sentencepiece.model."""
    units = [c.encode("utf-8").decode("latin-1") for c in text]
    units = "".join(units) if self.about["bytes"] else units
    return [self.ids.get(unit, 2) for unit in units]


if __name__ == "__main__":
  model = Model(pathlib.Path(__file__).resolve().parent)
  task, *text = sys.argv[2:] or [next(iter(model.about["prompts"]))]
  print(*model.answer(np.load(sys.argv[1]), task, *text), sep="\n")
