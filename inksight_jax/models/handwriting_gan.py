"""Words on demand: adversarial and legibility losses as one scalar objective.

Each network's part of the sum is held fixed for the others by `stop_gradient`,
so that one gradient and one step train all of them: the loop, and T5X, see a
model like any other. Sources: Alonso et al. (2019), arXiv 1903.00277; Fogel et
al. (2020), arXiv 2003.10557.
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from flax import core as flax_core
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from inksight_jax.models import losses
from inksight_jax.models.generated_pictures import balance_ratio, move
from inksight_jax.models.sequence_to_sequence import (
  Key,
  Metrics,
  Params,
  SequenceToSequence,
  average,
)
from inksight_jax.networks import decoding, image_blocks, word_gan

# One step in so many takes the gradient penalty, so many times as heavy ("lazy
# regularisation", Karras et al. 2020, section 3.1).
_PENALTY_EVERY = 8


class HandwritingGAN(SequenceToSequence):
  """Objective of `word_gan.WordGAN`.

  Attributes:
    blank_id: CTC's blank in the recogniser's vocabulary.
  """

  def __init__(
    self,
    *args: Any,
    blank_id: int,
    balance: float | Float[Array, ""] | None = 1.0,
    penalty: float = 1.0,
    shift: int = 2,
    imitation: float | Float[Array, ""] = 1.0,
    **kwargs: Any,
  ) -> None:
    """Binds the networks to their objective.

    Args:
      *args: of `SequenceToSequence`.
      blank_id: see the class.
      balance: strength of the gradient of legibility at the picture, as a share
        of the adversarial one; None for the plain sum of both losses.
      penalty: weight of R1, the squared gradient of the discriminator at real
        pictures (Mescheder et al. 2018).
      shift: most pixels by which the pictures of discriminator and recogniser
        are moved, real and generated alike (Zhao et al. 2020, DiffAugment).
      imitation: strength of the gradient of likeness to hands at the picture,
        as a share of the adversarial one; for networks with a style encoder.
      **kwargs: of `SequenceToSequence`; those of token losses have no meaning.
    """
    super().__init__(*args, **kwargs)
    self.blank_id = blank_id
    self._balance = balance
    self._penalty = penalty
    self._shift = shift
    self._imitation = imitation

  def get_initial_variables(
    self, rng: PRNGKeyArray | Array, input_shapes: Any, input_types: Any = None
  ) -> flax_core.FrozenDict:
    """As `SequenceToSequence`; the average begins as the generator itself."""
    variables = flax_core.unfreeze(
      super().get_initial_variables(rng, input_shapes, input_types)
    )
    params = variables["params"]
    params["generator_average"] = jax.tree.map(jnp.copy, params["generator"])
    return flax_core.freeze(variables)

  def loss_normalizer(self, batch: losses.Batch) -> Float[Array, ""]:
    """Number of pictures."""
    return jnp.float32(batch["decoder_target_tokens"].shape[0])

  def loss_fn(
    self,
    params: Params,
    batch: losses.Batch,
    dropout_rng: Key,
    normalizer: Float[Array, ""] | None = None,
  ) -> tuple[Float[Array, ""], Metrics]:
    """The sum of what each network minimises, and metrics.

    The value of the sum means nothing, its gradient does: the generator's part
    is the product of its pictures with the gradients that they get.

    Args:
      params: of the four networks.
      batch: real pictures `encoder_input_image` and their texts
        `decoder_target_tokens`; the same texts are generated. Where styles are
        encoded, `encoder_input_tokens` numbers the writers, 0 is unknown.
      dropout_rng: key of styles and shifts; None for a fixed one.
      normalizer: pictures of the whole batch where this is a part of it.
    """
    key = jax.random.key(0) if dropout_rng is None else dropout_rng
    style_key, move_key, other_key, lazy_key = jax.random.split(key, 4)
    real = word_gan.to_grey(jnp.asarray(batch["encoder_input_image"]))
    tokens = jnp.asarray(batch["decoder_target_tokens"])
    rows = tokens.shape[0]
    hands, same = self._hands(params, real), same_writer(batch)
    style = self._styles(style_key, hands, same)
    read_key = jax.random.fold_in(other_key, 1)
    fake = self._apply(params, tokens, style, method="generate")
    fixed = jax.lax.stop_gradient(params)
    pictures = jax.lax.stop_gradient(fake)

    def realism(pictures: Array) -> Array:
      moved = move(pictures, other_key, self._shift)
      return -jnp.mean(self._apply(fixed, moved, method="judge"))

    def legibility(pictures: Array) -> Array:
      moved = move(pictures, read_key, self._shift)
      return jnp.mean(self._read_loss(fixed, moved, tokens))

    adversarial, toward_real = jax.value_and_grad(realism)(pictures)
    unread, toward_legible = jax.value_and_grad(legibility)(pictures)
    ratio = balance_ratio(toward_real, toward_legible, self._balance)
    wanted = toward_real + ratio * toward_legible
    if hands is not None:
      toward_hand = jax.grad(self._unlike, 1)(
        fixed, pictures, style, hands, same
      )
      share = balance_ratio(toward_real, toward_hand, self._imitation)
      wanted += share * toward_hand
    generating = jnp.sum(fake * jax.lax.stop_gradient(wanted))

    hinge, right = self._judging(params, real, pictures, move_key)
    penalty = jax.lax.cond(
      jax.random.uniform(lazy_key) < 1.0 / _PENALTY_EVERY,
      lambda: self._gradient_penalty(params, real),
      lambda: jnp.float32(0.0),
    )
    # Moved as well: one that knows its pictures by heart is a poor teacher.
    moved = move(real, read_key, self._shift)
    reading = jnp.mean(self._read_loss(params, moved, tokens))
    loss = (
      generating
      + hinge
      + 0.5 * self._penalty * _PENALTY_EVERY * penalty
      + reading
      + _distance(params)
      + self._style_loss(params, pictures, style, hands, same)
    )
    metrics: Metrics = {
      "loss": average(hinge * rows, rows),
      "adversarial_loss": average(adversarial * rows, rows),
      "reading_loss": average(reading * rows, rows),
      "legibility_loss": average(unread * rows, rows),
      "discriminator_accuracy": average(right, 2 * rows),
      "balance": average(ratio * rows, rows),
    }
    share = 1.0 if normalizer is None else rows / normalizer
    return loss * share, metrics

  def predict_batch(
    self, params: Params, batch: losses.Batch, rng: Key = None
  ) -> Float[Array, "batch height width 1"]:
    """Pictures of the batch's texts by the averaged generator.

    Args:
      params: of the four networks.
      batch: `decoder_target_tokens`.
      rng: key of the styles; None for a fixed one.
    """
    tokens = jnp.asarray(batch["decoder_target_tokens"])
    key = jax.random.key(0) if rng is None else rng
    return self.generate(params, tokens, self.draw_styles(key, tokens.shape[0]))

  def score_batch(
    self, params: Params, batch: losses.Batch
  ) -> Float[Array, " batch"]:
    """How real the discriminator takes the pictures of a batch to be."""
    real = word_gan.to_grey(jnp.asarray(batch["encoder_input_image"]))
    return self._apply(params, real, method="judge")

  def decode_batch(self, *args: Any, **kwargs: Any) -> decoding.Decoded:
    """Refuses: nothing is read here.

    Raises:
      ValueError: always.
    """
    del args, kwargs
    raise ValueError(
      "A handwriting GAN writes words and reads none; to read, train one of "
      "the recipes of readers, gin/recipes/sequence_mnist_ctc.gin for example."
    )

  def generate(
    self,
    params: Params,
    tokens: Int[Array, "batch targets"],
    style: Float[Array, "batch style"],
  ) -> Float[Array, "batch height width 1"]:
    """Pictures of words by the averaged generator, -1 to 1."""
    return self._apply(params, tokens, style, average=True, method="generate")

  def draw_styles(
    self, key: PRNGKeyArray | Array, count: int
  ) -> Float[Array, "count style"]:
    """Random styles."""
    return jax.random.normal(key, (count, self.module.config.style_dim))

  def encode_style(
    self, params: Params, pictures: Float[Array, "examples height width 1"]
  ) -> Float[Array, " style"]:
    """The style of one hand from pictures of its words, -1 to 1.

    Raises:
      ValueError: the networks have no style encoder.
    """
    if not self.imitates:
      raise ValueError(
        "This model was trained without a style encoder, so it cannot imitate "
        "pictures; include gin/networks/word_styles.gin in its recipe."
      )
    styles = self._apply(params, pictures, method="encode_style")
    return image_blocks.normalize(jnp.mean(styles, axis=0))

  @property
  def imitates(self) -> bool:
    """Whether there is a style encoder."""
    return bool(self.module.config.style_widths)

  def _hands(
    self, params: Params, real: Float[Array, "batch height width 1"]
  ) -> Float[Array, "batch style"] | None:
    """The style that is seen in each picture; None without an encoder."""
    if not self.imitates:
      return None
    return self._apply(params, real, method="encode_style")

  def _styles(
    self,
    key: PRNGKeyArray | Array,
    hands: Float[Array, "batch style"] | None,
    same: Bool[Array, "batch batch"],
  ) -> Float[Array, "batch style"]:
    """Random styles; where styles are encoded, half of them are of hands.

    Namely the one that is seen in the other words of the same writer; in the
    picture itself where the batch has no other.
    """
    drawn = self.draw_styles(key, len(same))
    if hands is None:
      return drawn
    half = len(same) // 2
    alone = ~jnp.any(same, axis=1, keepdims=True) & jnp.eye(
      len(same), dtype=bool
    )
    sources = (same | alone).astype(hands.dtype)
    seen = sources @ hands / jnp.sum(sources, axis=1, keepdims=True)
    return jnp.concatenate([image_blocks.normalize(seen)[:half], drawn[half:]])

  def _judging(
    self,
    params: Params,
    real: Float[Array, "batch height width 1"],
    fake: Float[Array, "batch height width 1"],
    key: PRNGKeyArray | Array,
  ) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The discriminator's hinge loss, and how many pictures it gets right."""
    # Both kinds in one pass, half as much to compile as two.
    both = move(jnp.concatenate([real, fake]), key, self._shift)
    scores = self._apply(params, both, method="judge")
    real_scores, fake_scores = jnp.split(scores, 2)
    hinge = jnp.mean(jax.nn.relu(1.0 - real_scores)) + jnp.mean(
      jax.nn.relu(1.0 + fake_scores)
    )
    return hinge, jnp.sum(real_scores > 0) + jnp.sum(fake_scores < 0)

  def _unlike(
    self,
    params: Params,
    pictures: Float[Array, "batch height width 1"],
    style: Float[Array, "batch style"],
    hands: Float[Array, "batch style"],
    same: Bool[Array, "batch batch"],
  ) -> Float[Array, ""]:
    """How badly generated pictures show their styles.

    A word in the style of a hand should belong to the other words of that hand
    (contrastive, as in SimCLR, Chen et al. 2020; what they say differs, so it
    is of no use there), and a style that was drawn be told from the picture.
    """
    half = len(same) // 2
    found = self._apply(params, pictures, method="encode_style")
    likeness = losses.contrastive(
      found[:half], hands[:half], same[:half, :half]
    )
    return likeness + jnp.mean(jnp.square(found[half:] - style[half:]))

  def _style_loss(
    self,
    params: Params,
    pictures: Float[Array, "batch height width 1"],
    style: Float[Array, "batch style"],
    hands: Float[Array, "batch style"] | None,
    same: Bool[Array, "batch batch"],
  ) -> Float[Array, ""]:
    """What the style encoder learns.

    Which words are by one hand, and the styles of generated pictures, which are
    known (HiGAN, Gan & Wang 2021); not which hands were imitated: it would make
    itself see what is generated. Styles of a batch should lie around zero, as
    those that are drawn do, or all hands look alike.
    """
    if hands is None:
      return jnp.float32(0.0)
    half = len(same) // 2
    found = self._apply(params, pictures[half:], method="encode_style")
    known = jnp.mean(jnp.square(found - jax.lax.stop_gradient(style[half:])))
    center = jnp.mean(jnp.square(jnp.mean(hands, axis=0)))
    return losses.contrastive(hands, hands, same) + known + center

  def _apply(self, params: Params, *args: Any, **kwargs: Any) -> Array:
    # Only with mutable collections does `apply` return a tuple.
    return cast(Array, self.module.apply({"params": params}, *args, **kwargs))

  def _read_loss(
    self,
    params: Params,
    pictures: Float[Array, "batch height width 1"],
    tokens: Int[Array, "batch targets"],
  ) -> Float[Array, " batch"]:
    """CTC's negative log-likelihood of each text, in nats."""
    logits = self._apply(params, pictures, method="read")
    return optax.ctc_loss(
      logits,
      jnp.zeros(logits.shape[:2], jnp.float32),
      tokens,
      (tokens <= word_gan.EOS_ID).astype(jnp.float32),
      blank_id=self.blank_id,
    )

  def _gradient_penalty(
    self, params: Params, real: Float[Array, "batch height width 1"]
  ) -> Float[Array, ""]:
    """Mean squared norm of the discriminator's gradient at real pictures."""
    slope = jax.grad(
      lambda pictures: jnp.sum(self._apply(params, pictures, method="judge"))
    )(real)
    return jnp.mean(jnp.sum(jnp.square(slope), axis=(1, 2, 3)))


def same_writer(batch: losses.Batch) -> Bool[Array, "batch batch"]:
  """Which other pictures are by the writer of each; see `loss_fn`."""
  rows = batch["decoder_target_tokens"].shape[0]
  if "encoder_input_tokens" not in batch:
    return jnp.zeros((rows, rows), bool)
  writers = jnp.asarray(batch["encoder_input_tokens"])[:, 0]
  same = (writers[:, None] == writers[None, :]) & (writers > 0)[:, None]
  return same & ~jnp.eye(rows, dtype=bool)


def _distance(params: Params) -> Float[Array, ""]:
  """Half the squared distance of the average from the generator.

  Its gradient is their difference: gradient descent with rate 1 - d follows
  the generator as an exponential moving average with decay d.
  """
  target = jax.lax.stop_gradient(params["generator"])
  squares = jax.tree.map(
    lambda a, g: jnp.sum(jnp.square(a - g)),
    params["generator_average"],
    target,
  )
  return 0.5 * jax.tree.reduce(jnp.add, squares)
