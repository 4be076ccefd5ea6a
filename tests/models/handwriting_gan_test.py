"""The objective of the handwriting GAN: who learns from what."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from inksight_jax.models import generated_pictures, handwriting_gan
from inksight_jax.networks import readers, vit, word_gan
from inksight_jax.training import optimizers

VOCAB, BLANK = 8, 7


def make_model(style_widths=(), **changes) -> handwriting_gan.HandwritingGAN:
  reader = readers.ReaderConfig(
    vit.ViTConfig(
      image_size=(8, 24),
      patch_size=(8, 2),
      width=16,
      depth=0,
      num_heads=2,
      stem="conv",
      position="sincos2d",
      channels=1,
    ),
    vocab_size=VOCAB,
    num_heads=2,
  )
  module = word_gan.WordGAN(
    word_gan.WordGANConfig(
      vocab_size=VOCAB,
      characters=3,
      height=8,
      character_width=8,
      reader=reader,
      widths=(8, 8),
      critic_widths=(8, 8),
      style_dim=6,
      style_widths=style_widths,
    )
  )
  return handwriting_gan.HandwritingGAN(module, blank_id=BLANK, **changes)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {
    "encoder_input_image": rng.integers(0, 256, (4, 8, 24, 3)).astype(np.uint8),
    "decoder_target_tokens": np.array(
      [[2, 3, 4, 1], [5, 1, 0, 0], [6, 6, 1, 0], [3, 2, 1, 0]], np.int32
    ),
  }


@pytest.fixture(scope="module")
def imitating(batch):
  """Parameters of a model with a style encoder."""
  shapes = {name: value.shape for name, value in batch.items()}
  # Compiled as one: operation by operation it takes several times as long.
  init = jax.jit(
    lambda key: make_model((8, 8)).get_initial_variables(key, shapes)["params"]
  )
  return init(jax.random.key(0)).unfreeze()


@pytest.fixture(scope="module")
def params(imitating):
  """Those of a model without one: the same networks otherwise."""
  return {
    name: part for name, part in imitating.items() if name != "style_encoder"
  }


@pytest.fixture(scope="module")
def learn():
  """(parameters, batch, balance, normaliser) to gradients and metrics.

  The one program of the whole objective.
  """

  def loss(params, batch, balance, normalizer):
    model = make_model(balance=balance, shift=0)
    return model.loss_fn(params, batch, None, normalizer)

  compiled = jax.jit(jax.grad(loss, has_aux=True))
  return lambda params, batch, balance=1.0, normalizer=4.0: compiled(
    params, batch, jnp.float32(balance), jnp.float32(normalizer)
  )


def test_balance_gives_legibility_its_share():
  rng = np.random.default_rng(1)
  adversarial = jnp.asarray(rng.normal(2.0, 0.03, (4, 8, 24, 1)), jnp.float32)
  legibility = jnp.asarray(rng.normal(-1.0, 70.0, (4, 8, 24, 1)), jnp.float32)
  for share in (0.1, 1.0, 10.0):
    ratio = generated_pictures.balance_ratio(adversarial, legibility, share)
    assert float(
      np.std(ratio * legibility) / np.std(adversarial)
    ) == pytest.approx(share, rel=0.01)
  assert generated_pictures.balance_ratio(adversarial, legibility, None) == 1.0


def test_the_generator_learns_from_both_judges(params, batch, learn):
  """The gradient of the sum of its two losses, weighted as reported."""
  model = make_model(shift=0)
  found, metrics = learn(params, batch, 0.5)
  ratio = float(metrics["balance"].compute())
  tokens = jnp.asarray(batch["decoder_target_tokens"])
  key = jax.random.split(jax.random.key(0), 4)[0]
  style = jax.random.normal(key, (4, 6))

  def loss(generator, params, ratio):
    p = {"params": dict(params, generator=generator)}

    def apply(*args, method):
      return jnp.asarray(model.module.apply(p, *args, method=method))

    fake = apply(tokens, style, method="generate")
    scores = apply(fake, method="judge")
    logits = apply(fake, method="read")
    padding = (tokens <= 1).astype(jnp.float32)
    unread = optax.ctc_loss(
      logits, jnp.zeros(logits.shape[:2]), tokens, padding, blank_id=BLANK
    )
    return ratio * jnp.mean(unread) - jnp.mean(scores)

  gradient = jax.jit(jax.grad(loss))
  expected = gradient(params["generator"], params, ratio)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
    dict(found["generator"]),
    dict(expected),
  )
  # Both take part: with another weight it is another gradient.
  other = gradient(params["generator"], params, 2.0 * ratio)
  difference = jax.tree.map(jnp.subtract, expected, other)
  assert optax.tree.norm(difference) > 0


def test_the_recogniser_learns_from_real_pictures_alone(params, batch, learn):
  found = learn(params, batch)[0]["recognizer"]
  other = dict(
    params, generator=jax.tree.map(lambda x: 2.0 * x, params["generator"])
  )
  again = learn(other, batch)[0]["recognizer"]
  jax.tree.map(np.testing.assert_array_equal, found, again)
  assert optax.tree.norm(found) > 0


def test_the_discriminator_does_not_care_for_legibility(params, batch, learn):
  one, other = (learn(params, batch, share)[0] for share in (0.1, 10.0))
  for name in ("discriminator", "recognizer", "generator_average"):
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
      dict(one[name]),
      dict(other[name]),
    )
  assert optax.tree.norm(one["discriminator"]) > 0
  difference = jax.tree.map(jnp.subtract, one["generator"], other["generator"])
  assert optax.tree.norm(difference) > 0


def test_a_part_of_a_batch_weighs_its_share(params, batch, learn):
  """Four of eight pictures: half of each gradient, that of the average too."""
  whole, half = (learn(params, batch, 1.0, n)[0] for n in (4, 8))
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, 2 * b, rtol=1e-4, atol=1e-6),
    dict(whole),
    dict(half),
  )


def test_the_penalty_is_the_squared_slope(params, batch):
  model = make_model()
  real = word_gan.to_grey(jnp.asarray(batch["encoder_input_image"]))

  def judge(picture):
    return model.module.apply(
      {"params": params}, picture[None], method="judge"
    )[0]

  found, slopes = jax.jit(
    lambda real: (
      model._gradient_penalty(params, real),
      jax.vmap(jax.grad(judge))(real),
    )
  )(real)
  assert float(found) == pytest.approx(
    np.mean([np.sum(slope**2) for slope in np.asarray(slopes)]), rel=1e-4
  )


def test_shifts_move_pictures_as_wholes():
  picture = np.arange(2 * 6 * 9, dtype=np.float32).reshape(2, 6, 9, 1)
  moved = np.asarray(
    generated_pictures.move(jnp.asarray(picture), jax.random.key(4), 2)
  )
  for before, after in zip(picture, moved, strict=True):
    shifted = [
      np.pad(before, ((3, 3), (3, 3), (0, 0)), mode="edge")[
        3 - down : 9 - down, 3 - right : 12 - right
      ]
      for down in range(-2, 3)
      for right in range(-2, 3)
    ]
    assert any(np.array_equal(after, other) for other in shifted)


def test_the_average_follows_the_generator(params, batch, learn):
  """Two steps by hand; it begins as the generator itself."""
  jax.tree.map(
    np.testing.assert_array_equal,
    params["generator"],
    params["generator_average"],
  )
  adam = optimizers.adamw(1e-2, b1=0.0, max_grad_norm=None)
  optimizer = optimizers.by_network(
    {
      "generator": adam,
      "discriminator": adam,
      "recognizer": adam,
      "generator_average": optimizers.follow(0.9),
    }
  )

  @jax.jit
  def update(gradients, state, params):
    updates, state = optimizer.update(gradients, state, params)
    return optax.apply_updates(params, updates), state

  state = optimizer.init(params)
  steps = [params]
  for _ in range(2):
    gradients, metrics = learn(steps[-1], batch)
    following, state = update(gradients, state, steps[-1])
    steps.append(following)
    assert 0.0 <= float(metrics["discriminator_accuracy"].compute()) <= 1.0
  _, first, second = steps
  expected = jax.tree.map(
    lambda a, g: 0.9 * a + 0.1 * g,
    first["generator_average"],
    first["generator"],
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
    dict(second["generator_average"]),
    dict(expected),
  )
  assert np.isfinite(optax.tree.norm(second))


def test_styles_are_those_of_hands_and_known_where_they_are_drawn(
  imitating, batch
):
  """Gradients without the two judges: of the sum written out here."""
  model, params = make_model((8, 8)), imitating
  real = jnp.asarray(
    np.random.default_rng(3).uniform(-1.0, 1.0, (8, 8, 24, 1)), jnp.float32
  )
  tokens = jnp.asarray(np.tile(batch["decoder_target_tokens"], (2, 1)))
  # One hand wrote three, another two, two are nobody's and one is alone.
  writers = np.array([[5], [9], [5], [0], [9], [0], [5], [7]], np.int32)
  same = handwriting_gan.same_writer(
    {"decoder_target_tokens": tokens, "encoder_input_tokens": writers}
  )
  others = {0: [2, 6], 1: [4], 2: [0, 6], 4: [1], 6: [0, 2]}
  for row in range(8):
    assert np.flatnonzero(same[row]).tolist() == others.get(row, [])
  drawn = model.draw_styles(jax.random.key(5), 8)

  def apply(params, *args, method):
    return model.module.apply({"params": params}, *args, method=method)

  def loss(networks):
    own = dict(params, **networks)
    hands = model._hands(own, real)
    style = model._styles(jax.random.key(5), hands, same)
    fake = apply(own, tokens, style, method="generate")
    pictures = jax.lax.stop_gradient(fake)
    # As `loss_fn` hands it on to the generator, unbalanced.
    toward_hand = jax.grad(model._unlike, 1)(
      params, pictures, style, hands, same
    )
    generating = jnp.sum(fake * jax.lax.stop_gradient(toward_hand))
    return generating + model._style_loss(own, pictures, style, hands, same)

  def told(one, other, others):
    # Which of all but the same word are by the same hand?
    nats = 0.0
    for row, right in others.items():
      for a, b in ((one, other), (other, one)):
        scores = {
          k: a[row] @ b[k] / (a.shape[1] * 0.1)
          for k in range(len(a))
          if k != row
        }
        nats += jax.nn.logsumexp(jnp.stack([*scores.values()]))
        nats -= jax.nn.logsumexp(jnp.stack([scores[k] for k in right]))
    return nats / (2 * len(others))

  def expected(networks):
    own = dict(params, **networks)
    seen = apply(own, real, method="encode_style")
    # Of the first four: the mean of two, of one, of two, and nobody's own.
    mean = jnp.stack(
      [(seen[2] + seen[6]) / 2, seen[4], (seen[0] + seen[6]) / 2]
    )
    mean = mean / jnp.sqrt(jnp.mean(mean**2, axis=1, keepdims=True))
    styles = jnp.concatenate([mean, seen[3:4], drawn[4:]])
    made = apply(own, tokens, styles, method="generate")
    # A judge that does not learn from how hands are imitated.
    found = apply(params, made, method="encode_style")
    known = jax.lax.stop_gradient(seen[:4])
    unlike = told(found[:4], known, {0: [2], 2: [0]})
    unlike += jnp.mean((found[4:] - drawn[4:]) ** 2)
    drawn_ones = jax.lax.stop_gradient(made[4:])
    read = apply(own, drawn_ones, method="encode_style")
    center = jnp.mean(jnp.mean(seen, axis=0) ** 2)
    own_loss = told(seen, seen, others) + jnp.mean((read - drawn[4:]) ** 2)
    return unlike + own_loss + center

  learning = {name: params[name] for name in ("generator", "style_encoder")}
  found, wanted = jax.jit(
    lambda networks: [jax.grad(f)(networks) for f in (loss, expected)]
  )(learning)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5),
    found,
    wanted,
  )
  for name in learning:
    assert optax.tree.norm(found[name]) > 0


def test_likeness_to_hands_gets_its_share(imitating, batch):
  pairs = np.array([[3], [3], [8], [8]], np.int32)
  batch = dict(batch, encoder_input_tokens=pairs)

  @jax.jit
  def learn(share):
    model = make_model((8, 8), imitation=share, shift=0)
    return jax.grad(lambda p: model.loss_fn(p, batch, None)[0])(imitating)

  none, one, two = (learn(jnp.float32(share)) for share in (0.0, 1.0, 2.0))
  for name in imitating:
    first, second = (
      jax.tree.map(jnp.subtract, one[name], none[name]),
      jax.tree.map(jnp.subtract, two[name], none[name]),
    )
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(2 * a, b, rtol=2e-2, atol=1e-5),
      first,
      second,
    )
    # Styles change nothing in a new generator: nor does the encoder learn.
    assert (float(optax.tree.norm(first)) > 1e-4) == (name == "generator"), name


def test_styles_are_seen_in_other_words_of_the_writer():
  model = make_model((8, 8))
  rng = np.random.default_rng(0)
  hands = rng.standard_normal((8, 6)).astype(np.float32)
  hands /= np.sqrt(np.mean(hands**2, axis=1, keepdims=True))
  same = np.zeros((8, 8), bool)
  for one, other in ((0, 5), (0, 6), (5, 6), (2, 3)):
    same[one, other] = same[other, one] = True
  key = jax.random.key(1)
  found = np.asarray(model._styles(key, jnp.asarray(hands), jnp.asarray(same)))
  mean = (hands[5] + hands[6]) / 2
  mean /= np.sqrt(np.mean(mean**2))
  expected = [
    mean,
    hands[1],
    hands[3],
    hands[2],
    *model.draw_styles(key, 8)[4:],
  ]
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
  # Without an encoder all are drawn.
  drawn = make_model()._styles(key, None, jnp.asarray(same))
  np.testing.assert_array_equal(drawn, model.draw_styles(key, 8))


def test_a_hand_is_the_mean_of_its_words(imitating, batch):
  model, params = make_model((8, 8)), imitating
  real = word_gan.to_grey(jnp.asarray(batch["encoder_input_image"]))
  encode = jax.jit(model.encode_style)
  one, other, both = (
    np.asarray(encode(params, pictures))
    for pictures in (real[:1], real[1:2], real[:2])
  )
  for style in (one, other, both):
    np.testing.assert_allclose(np.mean(style**2), 1.0, rtol=1e-3)
  mean = (one + other) / 2
  np.testing.assert_allclose(both, mean / np.sqrt(np.mean(mean**2)), rtol=1e-3)
  with pytest.raises(ValueError, match="without a style encoder"):
    make_model().encode_style(params, real)
