"""One sequence of prompt and answer, with and without a cache."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.networks import (
  picture_language_model,
  quantizers,
  transformer_decoder,
  vqvae,
)
from inksight_jax.networks.picture_grammar import PictureGrammar

DECODER = transformer_decoder.DecoderConfig(
  vocab_size=13,
  emb_dim=16,
  num_heads=2,
  mlp_dim=24,
  num_layers=2,
  activation="gelu",
  max_length=12,
  norm="pre",
  embedding_norm=False,
  scale_embedding=False,
  cross_attention=False,
  tied=True,
  hide_padding=True,
)
# The second one is shorter: padding between it and the answer.
PROMPT = jnp.array([[4, 9, 3, 2, 6], [7, 7, 10, 0, 0]])
ANSWER = jnp.array([[11, 5, 12, 3], [11, 8, 4, 4]])


# START 4, ROW 5, PAD 6, codes 7 to 11; 12 fills the table up.
IDS = PictureGrammar(4, 5, 12)
WHOLE = picture_language_model.PictureLanguageModelConfig(
  dataclasses.replace(DECODER, max_length=18),
  vqvae.VQVAEConfig(
    quantizers.GradientCodebookConfig(5, 3), (2,), blocks=1, channels=1
  ),
  IDS,
  grid_positions=True,
  code_vectors=True,
)


def _network(**changes):
  config = dataclasses.replace(DECODER, **changes)
  return picture_language_model.PictureLanguageModel(
    picture_language_model.PictureLanguageModelConfig(config)
  )


def _params(network, prompt=PROMPT, answer=ANSWER):
  shapes = jax.eval_shape(
    lambda: network.init(
      jax.random.key(0), prompt, answer, enable_dropout=False
    )["params"]
  )
  rng = np.random.default_rng(0)
  return jax.tree.map(
    lambda leaf: jnp.asarray(0.3 * rng.normal(size=leaf.shape), jnp.float32),
    shapes,
  )


@pytest.fixture(scope="module")
def full():
  """Network, parameters, and logits of the whole sequence as a function."""
  network = _network()
  params = _params(network)
  apply = jax.jit(
    lambda prompt, answer: network.apply(
      {"params": params}, prompt, answer, enable_dropout=False
    )
  )
  return network, params, lambda *x: np.asarray(apply(*x))


@pytest.mark.parametrize("scan", [False, True])
def test_decoding_with_a_cache_equals_decoding_the_whole(full, scan):
  network, params, apply = full
  if scan:
    decoder = params["decoder"]
    layers = [decoder[f"layers_{index}"] for index in range(2)]
    rest = {k: v for k, v in decoder.items() if not k.startswith("layers_")}
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *layers)
    params = {"decoder": {**rest, "layers": stacked}}
    network = _network(scan_layers=True)

  def call(variables, prompt, tokens):
    return network.apply(
      variables,
      prompt,
      None,
      tokens,
      decode=True,
      max_decode_length=4,
      mutable=["cache"],
      method="decode",
    )

  # Prompt and two tokens in one pass, then token by token.
  first, state = jax.jit(call)({"params": params}, PROMPT, ANSWER[:, :2])
  step = jax.jit(lambda cache, t: call({"params": params, **cache}, None, t))
  outputs = [first]
  for index in range(2, 4):
    logits, state = step(state, ANSWER[:, index : index + 1])
    outputs.append(logits)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1),
    apply(PROMPT, ANSWER)[:, 5:],
    rtol=1e-4,
    atol=1e-5,
  )


# Two grids, 2 x 3 and 3 x 2, the prompt ending within a row; a text first.
GRIDS = {
  "picture first": (
    [[5, 7, 8, 9, 5, 10, 11, 7, 6], [5, 7, 8, 5, 9, 9, 5, 10, 11]],
    [[4, 3, 2, 1], [4, 2, 1, 0]],
  ),
  "text first": (
    [[4, 3, 2, 1, 0, 5, 7, 8], [4, 3, 1, 0, 0, 5, 7, 5]],
    [[9, 5, 10, 11, 7, 5, 9, 9, 6], [9, 5, 10, 5, 8, 5, 11, 6, 6]],
  ),
}


@pytest.mark.parametrize(
  ("order", "scan"), [("picture first", False), ("text first", True)]
)
def test_rows_columns_and_vectors_of_codes_go_through_the_cache(order, scan):
  prompt, answer = (jnp.array(part) for part in GRIDS[order])
  network = picture_language_model.PictureLanguageModel(
    dataclasses.replace(
      WHOLE, decoder=dataclasses.replace(WHOLE.decoder, scan_layers=scan)
    )
  )
  params = _params(network, prompt, answer)
  whole = jax.jit(
    lambda: network.apply(
      {"params": params}, prompt, answer, enable_dropout=False
    )
  )()

  def call(variables, given, tokens):
    return network.apply(
      variables,
      given,
      None,
      tokens,
      decode=True,
      max_decode_length=9,
      mutable=["cache"],
      method="decode",
    )

  first, state = jax.jit(call)({"params": params}, prompt, answer[:, :1])
  step = jax.jit(lambda cache, t: call({"params": params, **cache}, None, t))
  outputs = [first]
  for index in range(1, answer.shape[1]):
    logits, state = step(state, answer[:, index : index + 1])
    outputs.append(logits)
  np.testing.assert_allclose(
    np.concatenate(outputs, axis=1),
    np.asarray(whole)[:, prompt.shape[1] :],
    rtol=1e-4,
    atol=1e-5,
  )


def test_a_logit_depends_on_what_stands_before_it_alone(full):
  _, _, apply = full
  logits = apply(PROMPT, ANSWER)
  assert logits.shape == (2, 9, 13)
  for place in range(9):
    both = jnp.concatenate([PROMPT, ANSWER], axis=1)
    both = both.at[0, place].set(1 + both[0, place] % 12)
    moved = np.abs(apply(both[:, :5], both[:, 5:]) - logits).max(axis=-1) > 1e-6
    np.testing.assert_array_equal(moved[0], np.arange(9) >= place)
    assert not moved[1].any()


def test_padding_in_the_prompt_is_not_looked_at(full):
  network, params, apply = full
  table = params["decoder"]["token_embedder"]["embedding"]
  decoder = dict(params["decoder"])
  # Only the hidden keys and values change; nothing is read at padding.
  decoder["token_embedder"] = {"embedding": table.at[0].add(1.0)}
  moved = network.apply(
    {"params": {"decoder": decoder}}, PROMPT, ANSWER, enable_dropout=False
  )
  # The table is the output layer too: the logit of PAD itself.
  np.testing.assert_allclose(
    np.asarray(moved)[:, 5:, 1:], apply(PROMPT, ANSWER)[:, 5:, 1:], atol=1e-5
  )


def test_a_decoder_that_would_attend_to_a_picture_is_refused():
  with pytest.raises(ValueError, match="cross_attention to False"):
    _network(cross_attention=True)


def test_gpt2_base_has_the_parameters_that_it_is_known_for():
  # 124,439,808 with 50,257 ids and 1,024 places.
  network = _network(
    vocab_size=50257,
    emb_dim=768,
    num_heads=12,
    mlp_dim=3072,
    num_layers=12,
    max_length=1024,
  )
  shapes = jax.eval_shape(
    lambda: network.init(
      jax.random.key(0), PROMPT, ANSWER, enable_dropout=False
    )["params"]
  )
  assert sum(x.size for x in jax.tree.leaves(shapes)) == 124_439_808
