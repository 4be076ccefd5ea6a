"""What an exported folder says about its model (README.md).

Everything is read from the model and its directory: data, numbers, limits. The
headings follow Mitchell et al. 2019, arXiv 1810.03993.
"""

from __future__ import annotations

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import jax

from inksight_jax import __version__
from inksight_jax.datasets.registry import DATASETS

if TYPE_CHECKING:
  from inksight_jax.inference.predictor import Predictor

METRICS_NAME = "metrics.json"
_SHOWN = ("cer", "exact_match", "aiou", "ldtw", "chamfer", "token_accuracy")

# What model hubs read.
_FRONT = """\
---
library_name: inksight-jax
pipeline_tag: image-to-text
tags: [handwriting, digital-ink]
---
"""
_USE = """\
## Intended use
Turning pictures of single handwritten words into pen strokes and text, for
note taking, search and the study of documents. Whole pages must be cut into
words first.
"""
_LIMITS = """\
## Limits
- One word (or line) a picture; what does not look like the training data is
  answered all the same, and often wrongly. The confidence is the model's own.
- Scripts, alphabets and hands outside the training data were not tested.
- Strokes are plausible, not those of the writer: order, direction and number
  may differ. They are no evidence of how something was written.

## Privacy and forgery
- Handwriting tells a person apart, and what is written may be private. Ask the
  writer; keep pictures and results no longer than needed.
- Ink in somebody's hand can be replayed by a plotter. Do not use the model to
  imitate handwriting or signatures of others without their consent, and do not
  take its output for proof of authorship.
"""


def write(
  predictor: Predictor,
  config: str,
  kind: str,
  weights: str,
  model_dir: str | os.PathLike[str] | None = None,
) -> str:
  """The card as Markdown.

  Args:
    predictor: the exported model.
    config: its operative configuration; only its presence is mentioned.
    kind: format of the folder.
    weights: type of the stored weights.
    model_dir: where metrics.json lies, if the model was evaluated.
  """
  parts = [
    _FRONT,
    _facts(predictor, kind, weights, bool(config)),
    _USE,
    _data(predictor),
    _numbers(model_dir),
    _LIMITS,
    _how(predictor, kind),
  ]
  return "\n".join(parts)


def _facts(
  predictor: Predictor, kind: str, weights: str, has_config: bool
) -> str:
  tasks = predictor.tasks
  count = sum(leaf.size for leaf in jax.tree.leaves(predictor.params))
  height, width = tasks.image_shape
  config = "`config.gin`, " if has_config else ""
  return (
    "# Handwriting model\n"
    f"Made with inksight-jax {__version__}; training step "
    f"{predictor.step:,}.\n\n"
    "| | |\n|---|---|\n"
    f"| network | {type(predictor.model.module).__name__}, {count:,} "
    "parameters |\n"
    f"| format | {kind}, weights {weights} |\n"
    f"| picture | {height} x {width}; padding {', '.join(tasks.fitting)} |\n"
    f"| ink canvas | {tasks.canvas} |\n"
    f"| tasks | {', '.join(tasks.tasks)} |\n"
    f"| longest answer | {predictor.decoder.config.max_length} tokens |\n"
    f"| answers held to the form of their task | "
    f"{'yes' if predictor.decoder.constrained else 'no'} |\n\n"
    f"How it was made: {config}`vocabulary.json`. Licence of the program: "
    "`LICENSE`; of the data, see below.\n"
  )


def _data(predictor: Predictor) -> str:
  rows = ["## Training data", "| data set | licence | cite |", "|---|---|---|"]
  for source in predictor.tasks.all_sources:
    info = DATASETS.get(source.name)
    licence = info.licence if info else "unknown"
    citation = info.citation if info else "unknown"
    rows.append(f"| {source.name} | {licence} | {citation} |")
  return "\n".join(rows) + "\n"


def _numbers(model_dir: str | os.PathLike[str] | None) -> str:
  metrics = _metrics(model_dir)
  if not metrics:
    return (
      "## Numbers\nNot evaluated before the export; "
      "`inksight-jax evaluate` writes metrics.json.\n"
    )
  tasks = list(dict.fromkeys(k.split("/")[0] for k in metrics if "/" in k))
  shown = [m for m in _SHOWN if any(f"{t}/{m}" in metrics for t in tasks)]
  rows = [
    "## Numbers",
    f"Split `{metrics.get('split', '?')}`, step {metrics.get('step', '?')}; "
    "in brackets the same predictions against other samples' truths.",
    "",
    f"| task | samples | {' | '.join(shown)} |",
    "|---|---|" + "---|" * len(shown),
  ]
  for task in tasks:
    cells = [_cell(metrics, f"{task}/{metric}") for metric in shown]
    samples = metrics.get(f"{task}/samples", "")
    rows.append(f"| {task} | {samples} | {' | '.join(cells)} |")
  return "\n".join(rows) + "\n"


def _metrics(model_dir: str | os.PathLike[str] | None) -> dict[str, Any]:
  path = pathlib.Path(model_dir or ".") / METRICS_NAME
  if model_dir is None or not path.is_file():
    return {}
  try:
    values = json.loads(path.read_text(encoding="utf-8"))
  except json.JSONDecodeError as error:
    raise ValueError(f"{path} is damaged: {error}; evaluate again.") from error
  return values if isinstance(values, dict) else {}


def _cell(metrics: dict[str, Any], name: str) -> str:
  value, control = metrics.get(name), metrics.get(f"{name}_shuffled")
  if value is None:
    return ""
  text = f"{value:.3f}"
  return text if control is None else f"{text} ({control:.3f})"


def _how(predictor: Predictor, kind: str) -> str:
  tasks = predictor.tasks
  prompts = [tasks.info(task).prompt for task in tasks.tasks]
  if kind == "savedmodel":
    code = (
      "import tensorflow as tf\n"
      "import tensorflow_text  # Only SentencePiece vocabularies need it.\n\n"
      "model = tf.saved_model.load('.')\n"
      "answer = model.signatures['ink']\n"
      f"out = answer(**{{'input_text': tf.constant([{prompts[0]!r}]),\n"
      "  'image/encoded': tf.constant([[open('word.jpg', 'rb').read()]])})\n"
    )
  else:
    code = "# python load.py word.npy\n"
  listed = "".join(f"- `{p}`\n" for p in prompts if p)
  return f"## Use\n```python\n{code}```\n" + (
    f"\nPrompts:\n{listed}" if listed else ""
  )
