"""Reading by CTC with a beam, a word list or an n-gram model of characters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from flax.linen import partitioning
from numpy.typing import NDArray

from inksight_jax.inference.decoder import Answer, Decoder
from inksight_jax.inference.predictor import Predictor
from inksight_jax.text.codecs import EOS_ID, UNK_ID
from inksight_jax.text.ctc_decoding import (
  NGram,
  Scorer,
  WordList,
  beam_search,
)
from inksight_jax.text.vocabulary import Vocabulary

# What may stand between the words of a list, where a text has several.
SEPARATORS = " \n"


class BeamDecoder(Decoder):
  """As `Decoder`, but all alignments of a text count, and a scorer may help.

  The log-probability of a text is shared out evenly among its characters.
  Where the scorer lets no text of the beam end, the answer is that without it.
  """

  def __init__(
    self,
    predictor: Predictor,
    beam: int,
    scorer: Scorer | None,
    weight: float,
  ) -> None:
    """Binds a model; compiles at the first answer.

    Args:
      predictor: of a model with frames.
      beam: texts kept after each frame.
      scorer: see `ctc_decoding.beam_search`.
      weight: of the scorer.

    Raises:
      ValueError: the model does not read frame by frame.
    """
    model: Any = predictor.model
    # CTC itself, and CTC as the second head of a reader of pages.
    if not hasattr(model, "frame_log_probs"):
      raise ValueError(
        f"A {type(model).__name__} does not read frame by frame; a beam with "
        "word list or n-grams is for models trained by CTC."
      )
    super().__init__(
      model,
      predictor.tasks,
      predictor.batch_size,
      predictor.decoder.config,
      constrained=False,
    )
    self._blank = model.blank_id
    self._beam, self._scorer, self._weight = beam, scorer, weight

    def frames(params: Any, images: jax.Array) -> jax.Array:
      with partitioning.axis_rules(()):
        batch = {"encoder_input_image": images}
        return model.frame_log_probs(params, batch)

    self._frames = jax.jit(frames)

  def _answer_batch(
    self,
    params: Any,
    images: Sequence[NDArray[np.uint8]],
    inputs: Sequence[Sequence[int] | NDArray[np.int32]],
    tasks: Sequence[str],
    size: int,
  ) -> list[Answer]:
    del inputs, tasks
    rows = [*range(len(images)), *[0] * (size - len(images))]
    batch = np.stack([images[row] for row in rows])
    log_probs = np.asarray(self._frames(params, batch), np.float64)
    return [self._read(frames) for frames in log_probs[: len(images)]]

  def _read(self, frames: NDArray[np.float64]) -> Answer:
    # Rows behind the blank only fill up the matrix.
    frames = frames[:, : self._blank + 1]
    found = beam_search(
      frames, self._blank, self._beam, self._scorer, self._weight
    ) or beam_search(frames, self._blank, self._beam)
    best = found[0]
    shares = np.zeros(len(best.tokens) + 1, np.float32)
    shares[: max(len(best.tokens), 1)] = best.log_prob / max(
      len(best.tokens), 1
    )
    return Answer(np.array([*best.tokens, EOS_ID], np.int32), shares)


def read_with_beam(
  predictor: Predictor,
  beam: int = 16,
  words: Iterable[str] | None = None,
  texts: Iterable[str] | None = None,
  order: int = 5,
  weight: float = 0.5,
) -> None:
  """Lets a predictor read with a beam from now on.

  Args:
    predictor: of a model trained by CTC.
    beam: texts kept after each frame.
    words: only these are read.
    texts: what an n-gram model of characters is counted in.
    order: of that model.
    weight: of its log-probabilities.

  Raises:
    ValueError: both or unusable `words` and `texts`, or another kind of model.
  """
  if words is not None and texts is not None:
    raise ValueError("Give a word list or texts for n-grams, not both.")
  vocabulary = predictor.tasks.vocabulary
  scorer: Scorer | None = None
  if words is not None:
    separators = [vocabulary.encode_text(s)[0] for s in SEPARATORS]
    scorer = WordList(
      _encoded(vocabulary, words), [s for s in separators if s != UNK_ID]
    )
    weight = 1.0
  elif texts is not None:
    scorer = NGram(_encoded(vocabulary, texts), vocabulary.size, order)
  predictor.decoder = BeamDecoder(predictor, beam, scorer, weight)


def _encoded(vocabulary: Vocabulary, texts: Iterable[str]) -> list[list[int]]:
  """Ids of the texts that the vocabulary can write."""
  found = [vocabulary.encode_text(text) for text in texts]
  kept = [ids for ids in found if ids and UNK_ID not in ids]
  if not kept:
    raise ValueError(
      f"None of the {len(found)} texts can be written in the vocabulary of the "
      "model."
    )
  return kept
