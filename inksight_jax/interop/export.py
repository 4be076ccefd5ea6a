"""A trained model as a folder for other programs."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
from typing import TYPE_CHECKING

from inksight_jax.datasets.atomic import write_text
from inksight_jax.interop import model_card

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

FORMATS = ("savedmodel", "stablehlo")
CONFIG_NAME = "config.gin"
CARD_NAME = "README.md"
LICENCE_NAME = "LICENSE"


def export(
  predictor: Predictor,
  config: str,
  output_dir: str | os.PathLike[str],
  kind: str = "savedmodel",
  weights: str = "float32",
  model_dir: str | os.PathLike[str] | None = None,
) -> None:
  """Writes a model with all that says what it is.

  Args:
    predictor: model, parameters and how they decode.
    config: the operative gin configuration, kept as `config.gin`.
    output_dir: made if absent; must hold no other files.
    kind: one of FORMATS.
    weights: "float32" or "bfloat16", how parameters are stored.
    model_dir: where training left what it measured, for the model card.

  Raises:
    ValueError: unknown format, a folder that is not empty, or see
      `saved_model.save_saved_model` and `stablehlo.save_stablehlo`.
  """
  if kind not in FORMATS:
    raise ValueError(f"Unknown format {kind!r}; one of {', '.join(FORMATS)}.")
  folder = pathlib.Path(output_dir)
  if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
    raise ValueError(
      f"{folder} is not an empty folder; give one that is, or a new name."
    )
  folder.mkdir(parents=True, exist_ok=True)
  if kind == "savedmodel":
    from inksight_jax.interop.saved_model import save_saved_model

    save_saved_model(predictor, folder, weights)
  else:
    from inksight_jax.interop.stablehlo import save_stablehlo

    save_stablehlo(predictor, folder, weights)
  predictor.tasks.vocabulary.save(folder)
  write_text(os.fspath(folder / CONFIG_NAME), config)
  write_text(os.fspath(folder / LICENCE_NAME), _licence())
  card = model_card.write(predictor, config, kind, weights, model_dir)
  write_text(os.fspath(folder / CARD_NAME), card)


def _licence() -> str:
  """The licence of the code, which the exported graph is made of."""
  beside = pathlib.Path(__file__).resolve().parents[2] / LICENCE_NAME
  if beside.is_file():
    return beside.read_text(encoding="utf-8")
  # Installed from a wheel, the file lies among its metadata.
  installed = importlib.metadata.distribution("inksight-jax")
  text = installed.read_text(f"licenses/{LICENCE_NAME}")
  if text is None:
    raise ValueError(
      f"The installation of inksight-jax lacks its file {LICENCE_NAME}; "
      "install it again."
    )
  return text
