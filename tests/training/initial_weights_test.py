import jax
import numpy as np
import pytest

from inksight_jax.training import (
  checkpoints,
  initial_weights,
  loop,
  mesh,
  optimizers,
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
