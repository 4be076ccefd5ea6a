import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from inksight_jax.training import (
  checkpoints,
  initial_weights,
  loop,
  mesh,
  optimizers,
  state,
)


class OneBatch:
  def __init__(self, batch):
    self.batch = batch

  def batches(self, start=0):
    while True:
      yield self.batch


def _flat(tree):
  return {
    "/".join(path): np.asarray(leaf)
    for path, leaf in mesh.flatten(tree).items()
  }


def _new_image_encoder(params):
  """Numbers that no initialisation draws."""
  return {
    "image_encoder": jax.tree.map(
      lambda x: np.full(x.shape, 7.0), params["image_encoder"]
    )
  }


@pytest.mark.parametrize("scan", [False, True])
def test_a_part_is_replaced_and_frozen_on_a_sharded_mesh(
  tiny_inksight, ink_batch, scan
):
  model = tiny_inksight(freeze=True, scan_layers=scan)
  fsdp = mesh.make_mesh(data=2, fsdp=2, model=2)

  def train(steps, rate, load=()):
    return loop.fit(
      model,
      optimizers.freeze(optimizers.adamw(rate, weight_decay=0.1)),
      OneBatch(ink_batch),
      steps,
      mesh=fsdp,
      load=load,
    ).params

  random = _flat(train(1, 0.0))
  started = _flat(train(1, 0.0, [_new_image_encoder]))
  trained = train(2, 0.1, [_new_image_encoder])
  changed = {
    name for name, x in _flat(trained).items() if (x != started[name]).any()
  }
  for name, array in started.items():
    if name.startswith("image_encoder/"):
      assert (array == 7.0).all()
    else:
      # The rest is what the seed gives, as without `load`.
      np.testing.assert_array_equal(array, random[name])
  assert changed and not any(n.startswith("image_encoder") for n in changed)
  # In two halves of `embed`, each on the devices of its own.
  scale = mesh.flatten(trained["image_encoder"])[
    "Transformer", "encoder_norm", "scale"
  ]
  assert {s.data.shape for s in scale.addressable_shards} == {(4,)}


def test_later_weights_win_and_may_build_on_the_earlier(
  toy_model, toy_batches, one_device_mesh
):
  seen = []

  def ones(params):
    return {"kernel": np.ones(params["kernel"].shape)}

  def first_row(params):
    seen.append(np.asarray(params["kernel"]))
    return {"kernel": params["kernel"].at[0].set(2.0)}

  params = loop.fit(
    toy_model(),
    optimizers.adamw(0.0),
    toy_batches(),
    1,
    mesh=one_device_mesh,
    load=[ones, first_row],
  ).params
  assert (seen[0] == 1.0).all()
  assert (np.asarray(params["kernel"])[0] == 2.0).all()
  assert (np.asarray(params["kernel"])[1:] == 1.0).all()


def test_weights_the_model_lacks_are_named(one_device_mesh):
  params = {"head": {"kernel": np.zeros((2, 3))}}
  places = jax.tree.map(lambda _: mesh.replicated(one_device_mesh), params)
  for given, message in (
    ({"tail": {"bias": np.zeros(3)}}, "tail/bias .* no such .* are head"),
    ({"head": {"kernel": np.zeros((3, 2))}}, r"\(3, 2\); .* \(2, 3\)"),
  ):
    with pytest.raises(ValueError, match=message):
      initial_weights.replace(params, lambda _, given=given: given, places)


def test_a_path_is_a_checkpoint_and_must_be_complete(
  toy_model, toy_batches, one_device_mesh, tmp_path
):
  saver = checkpoints.Checkpointer(str(tmp_path))
  loop.fit(
    toy_model(),
    optimizers.adamw(0.0),
    toy_batches(),
    1,
    mesh=one_device_mesh,
    checkpointer=saver,
  )
  saver.close()
  (weights,) = initial_weights.as_sequence(str(tmp_path))
  wanted = {"embedding": np.zeros((16, 8)), "kernel": np.zeros((8, 16))}
  assert set(weights(wanted)) == set(wanted)
  with pytest.raises(ValueError, match=r"bias is absent there and \(16,\)"):
    weights({**wanted, "bias": np.zeros(16)})
  assert initial_weights.as_sequence(None) == ()
  assert initial_weights.as_sequence([weights, weights]) == (weights, weights)


@dataclasses.dataclass(frozen=True)
class Letters:
  """A vocabulary as small as it gets: letters behind one special id."""

  text: str

  @property
  def size(self):
    return 1 + len(self.text)

  @classmethod
  def load(cls, folder):
    return cls((pathlib.Path(folder) / "vocabulary.json").read_text())

  def shared_ids(self, other):
    pairs = [
      (1 + i, 1 + other.text.index(letter))
      for i, letter in enumerate(self.text)
      if letter in other.text
    ]
    return [(0, 0), *pairs, (self.size, other.size)]

  def changes(self, before):
    return f"{before.text} to {self.text}"


def tables(rows):
  """A table and two heads for ids 0 to `rows` - 1, each with its own number."""
  ids = np.arange(float(rows))
  return {
    "token_embedder": {"embedding": np.stack([ids, ids + 0.5], axis=1)},
    "decoder": {"logits_dense": {"kernel": np.stack([ids, -ids])}},
    "frame_logits": {"kernel": np.stack([ids, -ids]), "bias": ids},
    "image_encoder": {"kernel": np.ones((rows, 2))},
  }


def test_another_vocabulary_keeps_the_rows_of_what_is_shared(tmp_path, caplog):
  saver = checkpoints.Checkpointer(str(tmp_path))
  # "abc", the blank of CTC, and a row that nothing uses.
  loaded = jax.tree.map(jnp.asarray, tables(6))
  saver.save(state.TrainState(jnp.int32(1), loaded, ()), seed=0)
  saver.close()
  (tmp_path / "vocabulary.json").write_text("abc")
  (same,) = initial_weights.as_sequence(str(tmp_path), Letters("abc"))
  jax.tree.map(np.testing.assert_array_equal, same(tables(6)), tables(6))
  assert not caplog.text
  wanted = tables(8)
  wanted["image_encoder"] = tables(6)["image_encoder"]
  path = str(tmp_path / "checkpoints" / "1")
  (other,) = initial_weights.as_sequence(path, Letters("xcab"))
  found = other(wanted)
  assert "abc to xcab" in caplog.text
  # Special id, then c, a, b at 2, 3, 4, and the blank moves from 4 to 5.
  assert found["frame_logits"]["bias"][[0, 2, 3, 4, 5]].tolist() == [
    0,
    3,
    1,
    2,
    4,
  ]
  embedding = found["token_embedder"]["embedding"]
  assert embedding.shape == (8, 2)
  assert embedding[2].tolist() == [3.0, 3.5]
  kernel = found["decoder"]["logits_dense"]["kernel"]
  assert kernel[:, 3].tolist() == [1.0, -1.0]
  # What is new does not look like anything known.
  assert not np.isin(
    embedding[1], tables(6)["token_embedder"]["embedding"]
  ).any()
  with pytest.raises(ValueError, match="image_encoder/kernel"):
    other(tables(8))
