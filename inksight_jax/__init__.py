"""inksight-jax: training handwriting models in JAX and Flax.

`inksight_jax.load(model_dir)` opens a trained model; see docs/prediction.md.

>>> import inksight_jax
>>> model = inksight_jax.load("runs/quickstart")
>>> result = model.recognize_and_derender("word.png")
>>> result.save("word.inkml")
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_root = pathlib.Path(__file__).resolve().parent.parent
if (_root / "setup.py").is_file() and (_root / "tasks").is_dir():
  # In a source checkout tasks/ and gin/ lie beside the package; an installed
  # wheel holds them inside it. Either way they are inksight_jax.tasks and
  # inksight_jax/gin.
  __path__.append(str(_root))

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import load as load


def __getattr__(name: str) -> Any:
  # Importing the package stays instant: JAX loads when a model does.
  if name == "load":
    from inksight_jax.inference.predictor import load

    return load
  raise AttributeError(f"module 'inksight_jax' has no attribute {name!r}")
