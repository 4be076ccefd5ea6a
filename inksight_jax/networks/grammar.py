"""What may follow what in an answer: text, then strokes of x, y, x, y ...

A logit transform for `decoding.decode`. It keeps a model that is unsure from
writing an x without its y, text into the ink or ink into a transcription, and
from going round in circles until the length limit, as some of InkSight's
published answers do.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

_FORBIDDEN = -1e9
# A pen that stays within about 1 % of the canvas for this many points is stuck:
# simplified ink puts no two points on a straight line.
_STUCK_POINTS = 24
_STUCK_SHARE = 3 / 224
# So is one that draws the same few points this often in a row.
_CYCLE_POINTS = (2, 3, 4)
_CYCLE_TIMES = 4

LogitTransform = Callable[[Array, Array, Array], Array]


@dataclasses.dataclass(frozen=True)
class InkGrammar:
  """The order of tokens in answers.

  Text ids lie below `first_ink`; from there on x = 0..canvas, y = 0..canvas and
  the stroke start. Ids above are rows of a padded table and never allowed.

  Attributes:
    first_ink: id of x = 0.
    canvas: largest coordinate.
    pad_id: never an answer.
    eos_id: ends an answer; allowed wherever a stroke or text may end.
    stop_cycles: lift the pen, then end the answer, where points repeat.
  """

  first_ink: int
  canvas: int
  pad_id: int = 0
  eos_id: int = 1
  stop_cycles: bool = True

  def transform(
    self, writes_text: Bool[Array, " rows"], writes_ink: Bool[Array, " rows"]
  ) -> LogitTransform:
    """Forbids what cannot follow.

    Args:
      writes_text: whether the answer of a row begins with text.
      writes_ink: whether it holds ink, after the text if there is any.

    Returns:
      (logits float[rows, vocab], tokens int32[rows, length] so far, index) ->
      logits, with what is not allowed at -1e9.
    """

    def apply(
      logits: Float[Array, "rows vocab"],
      tokens: Int[Array, "rows length"],
      index: Int[Array, ""],
    ) -> Float[Array, "rows vocab"]:
      allowed = self._allowed(
        logits.shape[-1], tokens, index, writes_text, writes_ink
      )
      return jnp.where(allowed, logits, _FORBIDDEN)

    return apply

  def _allowed(
    self,
    vocab: int,
    tokens: Int[Array, "rows length"],
    index: Int[Array, ""],
    writes_text: Bool[Array, " rows"],
    writes_ink: Bool[Array, " rows"],
  ) -> Bool[Array, "rows vocab"]:
    ids = jnp.arange(vocab)[None]
    first_y, start = self._first_y, self._start
    is_x = (ids >= self.first_ink) & (ids < first_y)
    is_y = (ids >= first_y) & (ids < start)
    is_start, is_eos = ids == start, ids == self.eos_id
    is_text = (ids < self.first_ink) & ~is_eos & (ids != self.pad_id)

    last = jnp.take(tokens, jnp.maximum(index - 1, 0), axis=1)
    last = jnp.where(index > 0, last, self.pad_id)[:, None]
    text, ink = writes_text[:, None], writes_ink[:, None]
    after_text = (is_text & text) | (is_start & ink) | is_eos
    after_y = is_x | is_start | is_eos
    if self.stop_cycles:
      stuck, lifted = self._stuck(tokens, index)
      out = is_eos | (is_start & ~lifted[:, None])
      after_y = jnp.where(stuck[:, None], out, after_y)
    return jnp.where(
      last < self.first_ink,
      after_text,
      jnp.where(last == start, is_x, jnp.where(last < first_y, is_y, after_y)),
    )

  @property
  def _first_y(self) -> int:
    return self.first_ink + self.canvas + 1

  @property
  def _start(self) -> int:
    return self.first_ink + 2 * self.canvas + 2

  def _stuck(
    self, tokens: Int[Array, "rows length"], index: Int[Array, ""]
  ) -> tuple[Bool[Array, " rows"], Bool[Array, " rows"]]:
    """Whether the newest points go nowhere, and the pen was lifted for it."""
    length = 2 * _STUCK_POINTS
    places = index - length + jnp.arange(length)
    newest = jnp.take(tokens, jnp.maximum(places, 0), axis=1)
    newest = jnp.where(places >= 0, newest, -1)
    is_x = (newest >= self.first_ink) & (newest < self._first_y)
    is_y = (newest >= self._first_y) & (newest < self._start)
    is_start = newest == self._start
    # All of the window is ink: neither the text before it nor nothing at all.
    full = jnp.all(is_x | is_y | is_start, axis=1)
    reach = max(1, round(_STUCK_SHARE * self.canvas))
    near = (_extent(newest, is_x) <= reach) & (_extent(newest, is_y) <= reach)
    cycles = jnp.zeros_like(near)
    for points in _CYCLE_POINTS:
      period = 2 * points
      same = newest[:, period:] == newest[:, :-period]
      # The points themselves, and that often the same again.
      repeated = same[:, -(_CYCLE_TIMES - 1) * period :]
      seen = is_x | is_y
      cycles |= jnp.all(repeated, axis=1) & jnp.all(
        seen[:, -_CYCLE_TIMES * period :], axis=1
      )
    return (full & near) | cycles, jnp.any(is_start, axis=1)


def _extent(
  values: Int[Array, "rows length"], where: Bool[Array, "rows length"]
) -> Int[Array, " rows"]:
  """Largest minus smallest of the values that count."""
  most = jnp.iinfo(values.dtype).max // 2
  low = jnp.min(jnp.where(where, values, most), axis=1)
  high = jnp.max(jnp.where(where, values, -most), axis=1)
  return high - low
