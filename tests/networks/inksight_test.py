"""InkSight: sizes, frozen encoder, padding, logical axes, decoding by cache."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import partitioning

from inksight_jax.networks import decoding, inksight, mt5, vit

TINY = inksight.InkSightConfig(
  vit.ViTConfig(
    image_size=16, patch_size=8, width=24, depth=1, mlp_dim=32, num_heads=2
  ),
  mt5.MT5Config(
    vocab_size=13,
    emb_dim=16,
    num_heads=2,
    head_dim=8,
    mlp_dim=24,
    num_encoder_layers=1,
    num_decoder_layers=2,
    dropout_rate=0.3,
  ),
)
MODEL = inksight.InkSight(TINY)
IMAGE = jnp.asarray(
  np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)), jnp.uint8
)
PROMPT = jnp.array([[5, 6, 1], [8, 1, 0]])
TOKENS = jnp.array([[0, 4, 9, 3], [0, 7, 12, 5]])
APPLY = jax.jit(MODEL.apply, static_argnames="enable_dropout")


def _scanned(config: inksight.InkSightConfig) -> inksight.InkSightConfig:
  return dataclasses.replace(
    config,
    vit=dataclasses.replace(config.vit, scan_layers=True),
    mt5=dataclasses.replace(config.mt5, scan_layers=True),
  )


def _shapes(config: inksight.InkSightConfig) -> dict:
  side = config.vit.image_size
  image = jnp.zeros((1, side, side, 3), jnp.uint8)
  return jax.eval_shape(
    lambda key: inksight.InkSight(config).init(
      key, image, PROMPT[:1], TOKENS[:1], TOKENS[:1], enable_dropout=False
    ),
    jax.random.key(0),
  )


@pytest.fixture(scope="module")
def params():
  @jax.jit
  def init(key):
    return MODEL.init(key, IMAGE, PROMPT, TOKENS, TOKENS, enable_dropout=False)[
      "params"
    ]

  return init(jax.random.key(0))


# About 340M and 1B in the paper. Ours from the published counts of timm's ViT
# (less class token and its position) and google/mt5-* (less the tables' rows
# beyond 32,000 ids).
@pytest.mark.parametrize(
  ("vit_size", "mt5_size", "count"),
  [
    (
      "B/16",
      "base",
      85_798_656 - 2 * 768 + 582_401_280 - 2 * (250_112 - 32_000) * 768,
    ),
    (
      "L/16",
      "large",
      303_301_632 - 2 * 1024 + 1_229_581_312 - 2 * (250_112 - 32_000) * 1024,
    ),
  ],
)
def test_full_sizes_have_the_published_number_of_parameters(
  vit_size, mt5_size, count
):
  config = inksight.InkSightConfig(
    vit.vit_config(vit_size), mt5.mt5_config(mt5_size, 32_000)
  )
  shapes = _shapes(_scanned(config))["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count
  assert set(shapes) == {
    "image_encoder",
    "token_embedder",
    "encoder",
    "decoder",
  }


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_every_parameter_has_one_logical_axis_per_dimension(scan, stem):
  config = dataclasses.replace(
    TINY, vit=dataclasses.replace(TINY.vit, stem=stem)
  )
  shapes = _shapes(_scanned(config) if scan else config)
  names = partitioning.get_axis_names(shapes["params_axes"])
  is_spec = lambda x: isinstance(x, jax.sharding.PartitionSpec)  # noqa: E731
  axes = {
    jax.tree_util.keystr(path): spec
    for path, spec in jax.tree_util.tree_leaves_with_path(
      jax.tree.map(lambda x: x, dict(names)), is_leaf=is_spec
    )
  }
  leaves = {
    jax.tree_util.keystr(path): leaf
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes["params"])
  }
  assert axes.keys() == leaves.keys()
  for path, leaf in leaves.items():
    assert len(axes[path]) == leaf.ndim, path
    stacked = scan and ("layers" in path or "encoderblock" in path)
    assert (axes[path][0] == "layers") == stacked, path


@pytest.mark.parametrize("frozen", [False, True])
def test_freezing_stops_the_gradient_at_the_image_encoder(params, frozen):
  model = inksight.InkSight(
    dataclasses.replace(TINY, freeze_image_encoder=frozen)
  )

  @jax.jit
  def gradient(params):
    return jax.grad(
      lambda p: jnp.sum(
        jnp.square(
          model.apply(
            {"params": p}, IMAGE, PROMPT, TOKENS, TOKENS, enable_dropout=False
          )
        )
      )
    )(params)

  largest = jax.tree.map(lambda g: float(np.abs(g).max()), gradient(params))
  encoder = jax.tree.leaves(largest.pop("image_encoder"))
  if frozen:
    assert max(encoder) == 0.0
  else:
    # Key biases have none: softmax does not see a shift of all logits.
    assert np.median(encoder) > 1e-4
  assert largest["image_projection"]["kernel"] > 1e-4


def test_freezing_removes_the_backward_pass_of_the_image_encoder(params):
  def flops(frozen):
    config = dataclasses.replace(TINY, freeze_image_encoder=frozen)
    model = inksight.InkSight(config)

    def loss(p):
      logits = model.apply(
        {"params": p}, IMAGE, PROMPT, TOKENS, TOKENS, enable_dropout=False
      )
      return jnp.sum(logits)

    compiled = jax.jit(jax.grad(loss)).lower(params).compile()
    return compiled.cost_analysis()["flops"]

  image_encoder = vit.ViT(TINY.vit)
  forward = (
    jax.jit(lambda p: image_encoder.apply({"params": p}, IMAGE))
    .lower(params["image_encoder"])
    .compile()
    .cost_analysis()["flops"]
  )
  # A backward pass costs about twice the forward pass.
  assert flops(False) - flops(True) > 1.5 * forward


def test_padding_of_the_prompt_changes_nothing(params):
  variables = {"params": params}
  short = APPLY(variables, IMAGE, PROMPT, TOKENS, TOKENS, enable_dropout=False)
  padded = jnp.pad(PROMPT, ((0, 0), (0, 4)))
  long = APPLY(variables, IMAGE, padded, TOKENS, TOKENS, enable_dropout=False)
  np.testing.assert_allclose(short, long, rtol=1e-4, atol=1e-5)


def test_the_answer_depends_on_picture_and_prompt(params):
  variables = {"params": params}
  swapped = slice(None, None, -1)

  def logits(image, prompt):
    return np.asarray(
      APPLY(variables, image, prompt, TOKENS, TOKENS, enable_dropout=False)
    )

  base = logits(IMAGE, PROMPT)
  assert np.abs(logits(IMAGE[swapped], PROMPT) - base).max() > 1e-3
  assert np.abs(logits(IMAGE, PROMPT[swapped]) - base).max() > 1e-3


def test_dropout_follows_its_key_and_its_switch(params):
  def logits(seed):
    return np.asarray(
      APPLY(
        {"params": params},
        IMAGE,
        PROMPT,
        TOKENS,
        TOKENS,
        rngs={"dropout": jax.random.key(seed)},
      )
    )

  first = logits(0)
  np.testing.assert_array_equal(first, logits(0))
  assert np.abs(first - logits(1)).max() > 1e-2


@pytest.mark.parametrize("scan", [False, True])
def test_cached_greedy_decoding_equals_the_teacher_forced_argmax(params, scan):
  config = _scanned(TINY) if scan else TINY
  model = inksight.InkSight(config)
  if scan:
    # Other weights will do: the two ways must agree for any.
    params = jax.jit(
      lambda key: model.init(
        key, IMAGE, PROMPT, TOKENS, TOKENS, enable_dropout=False
      )["params"]
    )(jax.random.key(1))
  variables = {"params": params}
  length = 7

  @jax.jit
  def generate():
    encoded, mask = model.apply(variables, IMAGE, PROMPT, method="encode")
    logits, state = model.apply(
      variables,
      encoded,
      mask,
      jnp.zeros((2, 1), jnp.int32),
      method="decode",
      decode=True,
      max_decode_length=length,
      mutable=["cache"],
    )

    def step(tokens, cache):
      logits, state = model.apply(
        {**variables, "cache": cache},
        None,
        None,
        tokens,
        method="decode",
        decode=True,
        mutable=["cache"],
      )
      return logits[:, -1], state["cache"]

    # Beams reorder the cache; the best beam is rescored below.
    config = decoding.DecodeConfig(length, "beam", num_decodes=3)
    axis = model.cache_batch_axis
    beams = decoding.decode(
      step, logits[:, -1], state["cache"], config, cache_batch_axis=axis
    )
    config = decoding.DecodeConfig(length)
    greedy = decoding.decode(step, logits[:, -1], state["cache"], config)
    return greedy, beams

  apply = jax.jit(model.apply, static_argnames="enable_dropout")

  def log_probs(tokens):
    inputs = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0)))
    logits = apply(
      variables, IMAGE, PROMPT, inputs, tokens, enable_dropout=False
    )
    return np.asarray(jax.nn.log_softmax(logits))

  greedy, beams = generate()
  for row in range(2):
    n = int(greedy.lengths[row, 0])
    scored = log_probs(greedy.tokens[:, 0])[row, :n]
    assert scored.argmax(-1).tolist() == greedy.tokens[row, 0, :n].tolist()
    np.testing.assert_allclose(
      scored.max(-1), greedy.log_probs[row, 0, :n], rtol=1e-3, atol=1e-4
    )
  for beam in range(3):
    scored = log_probs(beams.tokens[:, beam])
    for row in range(2):
      n = int(beams.lengths[row, beam])
      chosen = beams.tokens[row, beam, :n]
      np.testing.assert_allclose(
        scored[row, np.arange(n), chosen],
        beams.log_probs[row, beam, :n],
        rtol=1e-3,
        atol=1e-4,
      )


def test_cache_axes_are_those_of_the_batch():
  for config in (TINY, _scanned(TINY)):
    model = inksight.InkSight(config)
    shapes = _shapes(config)["params"]
    _, state = jax.eval_shape(
      lambda p, model=model: model.apply(
        {"params": p},
        jnp.zeros((5, 4, 16)),
        jnp.ones((5, 4), bool),
        jnp.zeros((5, 1), jnp.int32),
        method="decode",
        decode=True,
        max_decode_length=6,
        mutable=["cache"],
      ),
      shapes,
    )
    for leaf in jax.tree.leaves(state["cache"]):
      # One row, or one entry for each head of each row.
      assert leaf.ndim == 0 or leaf.shape[model.cache_batch_axis] % 5 == 0
