"""Folders of `transformers`, without that package.

As `save_pretrained` writes them, or as they are downloaded: config.json beside
`model.safetensors` or `pytorch_model.bin`, in one piece or in several with an
index.
"""

import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def read_config(folder: str, wanted: str) -> dict[str, Any]:
  """Reads config.json.

  Args:
    folder: of the model.
    wanted: what should lie there, for the error.

  Raises:
    ValueError: if there is none, or it is no JSON object.
  """
  path = os.path.join(folder, "config.json")
  try:
    with open(path, encoding="utf-8") as file:
      config = json.load(file)
  except (OSError, ValueError) as error:
    raise ValueError(
      f"{path} cannot be read ({error}); give the folder of a {wanted} "
      "with config.json and the weights."
    ) from error
  if not isinstance(config, dict):
    raise ValueError(f"{path} is not the configuration of a {wanted}.")
  return config


def read_tensors(folder: str) -> Iterator[tuple[str, np.ndarray]]:
  """Names and float32 values of all tensors of a folder.

  Raises:
    ValueError: if there are none, a file is damaged, or the package that reads
      it is missing.
  """
  for name in _WEIGHT_FILES:
    path, index = os.path.join(folder, name), os.path.join(folder, name)
    index += ".index.json"
    if os.path.isfile(path):
      files = [path]
    elif os.path.isfile(index):
      with open(index, encoding="utf-8") as file:
        parts = sorted(set(json.load(file)["weight_map"].values()))
      files = [os.path.join(folder, part) for part in parts]
    else:
      continue
    read = _read_safetensors if name.endswith("safetensors") else _read_torch
    for file in files:
      yield from read(file)
    return
  raise ValueError(
    f"{folder} holds none of {', '.join(_WEIGHT_FILES)}, nor an index of parts."
  )


def _read_safetensors(path: str) -> Iterator[tuple[str, np.ndarray]]:
  try:
    import safetensors
  except ImportError as error:
    raise ValueError(
      f"{path} needs the package safetensors: pip install "
      "'inksight-jax[import]'."
    ) from error
  try:
    with safetensors.safe_open(path, framework="numpy") as file:
      for name in file.keys():  # noqa: SIM118  (not a dict)
        yield name, np.asarray(file.get_tensor(name), np.float32)
  except (safetensors.SafetensorError, OSError) as error:
    raise ValueError(
      f"{path} is damaged, perhaps not downloaded to its end: {error}"
    ) from error


def _read_torch(path: str) -> Iterator[tuple[str, np.ndarray]]:
  try:
    import torch
  except ImportError as error:
    raise ValueError(
      f"{path} needs PyTorch to be read. Install torch, or save the model as "
      "model.safetensors."
    ) from error
  import pickle

  try:
    # Tensors only: such a file could otherwise run code.
    tensors = torch.load(path, map_location="cpu", weights_only=True)
  except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
    raise ValueError(
      f"{path} is damaged or holds more than tensors: "
      f"{str(error).splitlines()[0]}"
    ) from error
  for name, tensor in tensors.items():
    yield name, tensor.float().numpy()
