"""A token language model that writes pictures, and how well these are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from inksight_jax.inference import predictor
from inksight_jax.inference.held_out import Sample
from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.token_predictor import TokenPredictor
from inksight_jax.inference.tokenizer import Codes, Image
from inksight_jax.metrics.summary import TextEvaluation
from inksight_jax.networks.decoding import DecodeConfig
from inksight_jax.networks.picture_grammar import anything
from inksight_jax.text.codecs import EOS_ID, UNK_ID
from inksight_jax.text.picture_tokens import share_parsed

# An answer that cannot be drawn: nothing, one pixel of it.
_NOTHING = np.zeros((1, 1, 3), np.uint8)
# Farther from the padding than what a VQ-VAE makes of it.
_FAINT = 48


class PictureWriter:
  """Writes pictures of texts, or goes on with pictures.

  Attributes:
    predictor: the model; it reads pictures too, if these stand first in it.
    temperature: of sampling.
    top_k: of sampling; 0 for all tokens.
  """

  def __init__(
    self,
    predictor: TokenPredictor,
    temperature: float = 1.0,
    top_k: int = 0,
  ) -> None:
    """Binds a model; compiles at the first picture."""
    self.predictor = predictor
    self.temperature = temperature
    self.top_k = top_k
    model, codec = predictor.model, predictor.tasks.codec
    config = DecodeConfig(
      codec.length, "sample", temperature=temperature, top_k=top_k
    )

    def write(params: Any, prompts: Any, key: Any, constrained: bool) -> Any:
      rules = model.grammar.picture() if constrained else anything
      batch = {"encoder_input_tokens": prompts}
      return model.decode_batch(params, batch, key, config, rules).tokens[:, 0]

    def go_on(params: Any, starts: Any, key: Any, constrained: bool) -> Any:
      return model.continue_pictures(params, starts, key, config, constrained)

    self._write = jax.jit(write, static_argnames="constrained")
    self._go_on = jax.jit(go_on, static_argnames="constrained")

  @property
  def tasks(self) -> Any:
    """Vocabulary and sizes."""
    return self.predictor.tasks

  @property
  def step(self) -> int:
    """Training step of the parameters."""
    return self.predictor.step

  def draw_styles(self, count: int, seed: int) -> NDArray[np.float32]:
    """Numbers by which pictures of one text differ, float32[count, 1].

    What they are like is drawn token by token; the number is a seed.
    """
    rng = np.random.default_rng(seed)
    return rng.random((count, 1), np.float32)

  def generate(
    self, texts: Sequence[str], styles: NDArray[np.float32]
  ) -> list[Image]:
    """Pictures of texts.

    Args:
      texts: each of characters that the model knows.
      styles: float32[texts, 1], see `draw_styles`.

    Returns:
      uint8[height, width, 3] for each text.

    Raises:
      ValueError: the model writes texts, or a text is empty, too long or has
        unknown characters.
    """
    return self.draw(list(self.write(texts, styles)))

  def write(
    self,
    texts: Sequence[str],
    styles: NDArray[np.float32],
    constrained: bool = True,
  ) -> NDArray[np.int32]:
    """Model ids int32[texts, length] of pictures; see `generate`."""
    if self.tasks.picture_first:
      raise ValueError(
        "This model has pictures first: it reads them, and goes on with them. "
        "Fine-tune it with PICTURE_FIRST = False to write those of texts."
      )
    prompts = np.stack([self._prompt(text) for text in texts])
    return self._in_batches(self._write, prompts, styles, constrained)

  def continue_pictures(
    self,
    beginnings: NDArray[np.int32],
    styles: NDArray[np.float32],
    constrained: bool = True,
  ) -> NDArray[np.int32]:
    """Goes on with pictures.

    Args:
      beginnings: model ids int32[pictures, n], n from 1 (a ROW) on.
      styles: float32[pictures, 1], see `draw_styles`.
      constrained: write nothing that is no picture.

    Returns:
      Model ids int32[pictures, length].

    Raises:
      ValueError: the model has texts first.
    """
    if not self.tasks.picture_first:
      raise ValueError(
        "This model has texts first; pictures are gone on with by one that "
        "reads them."
      )
    return self._in_batches(self._go_on, beginnings, styles, constrained)

  def free_pictures(
    self, styles: NDArray[np.float32], constrained: bool = True
  ) -> NDArray[np.int32]:
    """Pictures of nothing in particular; see `continue_pictures`."""
    row = self.predictor.model.grammar.row_id
    starts = np.full((len(styles), 1), row, np.int32)
    return self.continue_pictures(starts, styles, constrained)

  def draw(self, ids: Sequence[NDArray[np.int32]]) -> list[Image]:
    """Pixels of pictures in model ids; one black pixel where there is none."""
    grids: list[Codes | None] = [self._grid(row) for row in ids]
    pictures = iter(self.predictor.draw([g for g in grids if g is not None]))
    return [_NOTHING if g is None else next(pictures) for g in grids]

  def caption(self, ids: Sequence[NDArray[np.int32]]) -> list[str]:
    """What the model itself reads in pictures, given in model ids."""
    predictor = self.predictor
    task = predictor.tasks.tasks[0]
    answers = predictor.answer(
      [_NOTHING] * len(ids), list(ids), [task] * len(ids)
    )
    vocabulary = predictor.tasks.vocabulary
    return [vocabulary.decode(answer.tokens).text for answer in answers]

  def parsed(self, ids: Sequence[NDArray[np.int32]]) -> float:
    """Share of sequences of model ids that are pictures."""
    offset = self.tasks.vocabulary.picture_offset
    return share_parsed(self.tasks.codec, [row - offset for row in ids])

  def _grid(self, ids: NDArray[np.int32]) -> Codes | None:
    try:
      return self.tasks.vocabulary.decode_picture(ids)
    except ValueError:
      return None

  def _prompt(self, text: str) -> NDArray[np.int32]:
    ids = self.tasks.prompt("text_to_image", text)
    most = self.tasks.text_length - 1
    if UNK_ID in ids or not 1 <= len(ids) - 2 <= most:
      raise ValueError(
        f"{text!r} cannot be written: this model knows texts of 1 to {most} "
        "characters of its vocabulary."
      )
    row = np.zeros(self.tasks.prompt_length, np.int32)
    row[: len(ids)] = ids
    assert row[len(ids) - 1] == EOS_ID
    return row

  def _in_batches(
    self,
    function: Any,
    given: NDArray[np.int32],
    styles: NDArray[np.float32],
    constrained: bool,
  ) -> NDArray[np.int32]:
    size = min(self.predictor.batch_size, max(1, len(given)))
    made = [np.zeros((0, self.tasks.codec.length), np.int32)]
    for first in range(0, len(given), size):
      part = given[first : first + size]
      missing = size - len(part)
      rows = np.pad(part, ((0, missing), (0, 0)), mode="edge")
      # The numbers of a batch, and its place, make its key.
      seed = styles[first : first + size].view(np.uint32).sum(dtype=np.uint32)
      key = jax.random.fold_in(jax.random.key(int(seed)), first)
      ids = function(
        self.predictor.params, jnp.asarray(rows), key, constrained=constrained
      )
      made.append(np.asarray(ids)[: len(part)])
    return np.concatenate(made)


class Evaluation(NamedTuple):
  """What `evaluate` found.

  Attributes:
    metrics: numbers by name.
    real: the samples as their codes draw them.
    made: the pictures that the model wrote.
    texts: what each of these was to say, or says to the model.
  """

  metrics: dict[str, float]
  real: list[Image]
  made: list[Image]
  texts: list[str]


def evaluate(
  writer: PictureWriter,
  judge: Predictor,
  samples: Sequence[Sample],
  seed: int = 0,
) -> Evaluation:
  """Scores what a model writes by what another one reads in it.

  A model that has texts first writes the samples' texts. One that has pictures
  first writes whatever it likes, and is asked what that says.

  Args:
    writer: the model.
    judge: a recogniser of pixels, trained by itself.
    samples: held-out pictures and texts.
    seed: of the pictures and of the shuffled control.

  Returns:
    An `Evaluation`. Its metrics: `judge_cer` and `judge_exact_match` of what
    was wanted, or of what the model says that it wrote (then also
    `self_caption`, how often the judge agrees); `judge_cer_shuffled` of others'
    texts; `judge_cer_real` of the samples; `parsed`, the share of pictures
    among what is sampled freely.
  """
  tasks = writer.tasks
  styles = writer.draw_styles(len(samples), seed)
  given = [sample.example for sample in samples]
  first = tasks.picture_first
  pictures = [e.inputs if first else e.targets for e in given]
  texts = [
    tasks.vocabulary.decode(e.targets if first else e.inputs).text
    for e in given
  ]
  if first:
    made = writer.free_pictures(styles)
    free = writer.free_pictures(styles, constrained=False)
    wanted = writer.caption(list(made))
  else:
    made = writer.write(texts, styles)
    free = writer.write(texts, styles, constrained=False)
    wanted = texts
  drawn, real = (
    [trimmed(picture, tasks.padding) for picture in writer.draw(ids)]
    for ids in (list(made), pictures)
  )
  scores = _read(judge, drawn, wanted, seed)
  metrics = {
    "judge_cer": scores["cer"],
    "judge_exact_match": scores["exact_match"],
    "judge_cer_shuffled": scores["cer_shuffled"],
    "judge_cer_real": _read(judge, real, texts, seed)["cer"],
    "parsed": writer.parsed(list(free)),
    "samples": len(samples),
  }
  if first:
    metrics["self_caption"] = scores["exact_match"]
  return Evaluation(metrics, real, drawn, wanted)


def trimmed(picture: Image, padding: str) -> Image:
  """A canvas without what fills it up, to the right and below.

  Args:
    picture: uint8[height, width, 3].
    padding: what fills it; "paper" cannot be told from the picture and stays.
  """
  if padding == "paper":
    return picture
  far = picture if padding == "black" else 255 - picture
  is_ink = far.max(axis=-1) > _FAINT
  rows, columns = np.flatnonzero(is_ink.any(1)), np.flatnonzero(is_ink.any(0))
  if not len(rows):
    return picture
  return picture[: rows[-1] + 1, : columns[-1] + 1]


def _read(
  judge: Predictor, pictures: Sequence[Image], texts: Sequence[str], seed: int
) -> dict[str, float]:
  """Scores of what the judge reads; texts that are empty count as a blank."""
  (task,) = judge.tasks.tasks
  evaluation = TextEvaluation(seed)
  for text, result in zip(texts, judge.predict(pictures, task), strict=True):
    evaluation.add(text if text.strip() else "\ufffd", result.text)
  return dict(evaluation.result())


def load(
  model_dir: str | os.PathLike[str],
  step: int | str | None = None,
  batch_size: int = 32,
  temperature: float = 1.0,
) -> PictureWriter:
  """Opens a model directory; gin's configuration is replaced by its own.

  Args:
    model_dir: folder that training wrote.
    step: which checkpoint; the latest by default.
    batch_size: pictures written together.
    temperature: of tokens that are sampled.

  Raises:
    ValueError: the folder holds no (such) trained model, or another kind.
  """
  model = predictor.load(model_dir, step, batch_size)
  if not isinstance(model, TokenPredictor):
    raise ValueError(
      f"{os.fspath(model_dir)} holds no language model of picture tokens."
    )
  return PictureWriter(model, temperature)
