import flax
import gin
import jax
import numpy as np
import optax
import pytest
from flax.linen import partitioning
from jax.sharding import PartitionSpec

from inksight_jax.inference import recipe
from inksight_jax.training import mesh, optimizers, prefetch, state

MESHES = {
  "data": {"data": 8},
  "data and model": {"data": 4, "model": 2},
  "fully sharded": {"data": 1, "fsdp": 8},
  "all three": {"data": 2, "fsdp": 2, "model": 2},
}


def loss_and_grads(model, batch, where):
  """Loss and gradients as numpy, and the shardings of the parameters."""
  shapes = {name: x.shape for name, x in batch.items()}
  optimizer = optax.sgd(1.0)
  _, shardings = state.abstract_state(
    model, optimizer, shapes, {}, where, mesh.LOGICAL_AXIS_RULES
  )
  with jax.set_mesh(where), partitioning.axis_rules(mesh.LOGICAL_AXIS_RULES):
    start = state.initial_state(model, optimizer, shapes, {}, shardings, 0)
    (loss, _), grads = jax.jit(jax.value_and_grad(model.loss_fn, has_aux=True))(
      start.params,
      prefetch.place(batch, mesh.batch_sharding(where)),
      jax.random.key(3),
    )
  return jax.device_get((loss, grads)), start.params


@pytest.fixture(scope="module")
def reference():
  return {}


@pytest.mark.parametrize("name", list(MESHES))
def test_loss_and_gradients_are_those_of_one_device(
  name, tiny_inksight, ink_batch, one_device_mesh, reference
):
  # Dropout too: random bits must not depend on the sharding.
  model = tiny_inksight(dropout_rate=0.1, scan_layers=True)
  if not reference:
    reference["one"] = loss_and_grads(model, ink_batch, one_device_mesh)[0]
  where = mesh.make_mesh(**MESHES[name])
  got, params = loss_and_grads(model, ink_batch, where)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6),
    reference["one"],
    got,
  )
  sharded = [
    x for x in jax.tree.leaves(params) if not x.sharding.is_fully_replicated
  ]
  assert bool(sharded) == (name != "data")
  if name == "fully sharded":
    held = sum(
      x.addressable_shards[0].data.size for x in jax.tree.leaves(params)
    )
    # Only small tables (patches, relative positions) stay whole.
    assert held < state.count_parameters(params) / 3


def test_make_mesh_fills_and_refuses():
  assert dict(mesh.make_mesh().shape) == {"data": 8, "fsdp": 1, "model": 1}
  assert mesh.make_mesh(fsdp=2, model=2).shape["data"] == 2
  with pytest.raises(ValueError, match="does not cover 8 devices"):
    mesh.make_mesh(fsdp=3)
  with pytest.raises(ValueError, match="data=2, fsdp=1, model=2"):
    mesh.make_mesh(data=2, model=2)


GIN = """
include "gin/runs/mesh.gin"
MESH_DATA = 2
MESH_FSDP = 2
MESH_MODEL = 2
LOGICAL_AXIS_RULES = (("embed", "model"), ("mlp", None))
"""


def test_gin_says_the_sizes_and_the_rules(tmp_path):
  defaults = {}
  for text, options in (('include "gin/runs/mesh.gin"', defaults), (GIN, {})):
    path = tmp_path / "run.gin"
    path.write_text(text)
    recipe.parse([str(path)])
    options.update(gin.get_bindings("run.train"))
  assert dict(options["mesh"].shape) == {"data": 2, "fsdp": 2, "model": 2}
  assert dict(defaults["mesh"].shape) == {"data": 8, "fsdp": 1, "model": 1}
  # What gin states is what the code does without gin.
  assert defaults["logical_axis_rules"] == mesh.LOGICAL_AXIS_RULES
  got = mesh.parameter_shardings(
    {"kernel": jax.ShapeDtypeStruct((4, 6), "float32")},
    flax.core.freeze({"kernel_axes": axes("embed", "mlp")}),
    options["logical_axis_rules"],
    options["mesh"],
  )
  assert got["kernel"].spec == PartitionSpec("model", None)


def axes(*names):
  return partitioning.AxisMetadata(names)


def test_parameter_shardings_follow_rules_and_divisibility():
  where = mesh.make_mesh(data=2, fsdp=2, model=2)
  params = {
    "a": {"kernel": jax.ShapeDtypeStruct((4, 6), "float32")},
    "odd": {"kernel": jax.ShapeDtypeStruct((4, 7), "float32")},
    "bare": {"bias": jax.ShapeDtypeStruct((4,), "float32")},
  }
  params_axes = flax.core.freeze(
    {
      "a": {"kernel_axes": axes("embed", "mlp")},
      "odd": {"kernel_axes": axes("embed", "mlp")},
    }
  )
  rules = [["mlp", "model"], ["embed", ["data", "fsdp"]]]
  got = mesh.parameter_shardings(params, params_axes, rules, where)
  assert got["a"]["kernel"].spec == PartitionSpec(("data", "fsdp"), "model")
  assert got["odd"]["kernel"].spec == PartitionSpec(("data", "fsdp"), None)
  assert got["bare"]["bias"].is_fully_replicated
  wrong = flax.core.freeze({"a": {"kernel_axes": axes("embed")}})
  with pytest.raises(ValueError, match=r"a/kernel has shape \(4, 6\) but 1"):
    mesh.parameter_shardings(params, wrong, rules, where)


def test_optimizer_state_lies_where_its_parameters_lie():
  where = mesh.make_mesh(data=1, fsdp=4, model=2)
  params = {
    "frozen": {"kernel": jax.ShapeDtypeStruct((4, 4), "float32")},
    "mlp": {"kernel": jax.ShapeDtypeStruct((8, 6), "float32")},
  }
  params_axes = flax.core.freeze({"mlp": {"kernel_axes": axes("embed", "mlp")}})
  shardings = mesh.parameter_shardings(
    params, params_axes, mesh.LOGICAL_AXIS_RULES, where
  )
  full = PartitionSpec("fsdp", "model")
  adam = optimizers.freeze(optimizers.adamw(), ["frozen"])
  for optimizer, expected in (
    (adam, {(8, 6): full, (): PartitionSpec()}),
    (
      optimizers.adafactor(min_dim_size_to_factor=2),
      {
        (8,): PartitionSpec("fsdp"),
        (6,): PartitionSpec("model"),
        (4,): PartitionSpec(None),
        (1,): PartitionSpec(),
        (): PartitionSpec(),
      },
    ),
  ):
    shapes = jax.eval_shape(optimizer.init, params)
    got = mesh.like_parameters(shapes, params, shardings, where)
    assert jax.tree.structure(got) == jax.tree.structure(shapes)
    seen = {
      leaf.shape: sharding.spec
      for leaf, sharding in zip(
        jax.tree.leaves(shapes), jax.tree.leaves(got), strict=True
      )
    }
    assert seen == expected


def test_rules_for_a_mesh_with_other_axes():
  rules = [["batch", ["data", "fsdp"]], ["embed", "fsdp"], ["mlp", "model"]]
  renamed = mesh.rename_axes({"fsdp": None}, rules)
  assert renamed == (("batch", "data"), ("embed", None), ("mlp", "model"))
  # Folded into one axis, a rule names it once.
  renamed = mesh.rename_axes({"fsdp": "data"}, rules)
  assert renamed == (("batch", "data"), ("embed", "data"), ("mlp", "model"))
  pair = mesh.rename_axes({"data": "replica", "fsdp": "data"}, rules)
  assert pair[0] == ("batch", ("replica", "data"))
  # linen takes them: activations are split by rows, parameters by width.
  spec = partitioning.logical_to_mesh_axes(("batch", "embed"), renamed)
  assert spec == PartitionSpec("data", None)
  assert partitioning.logical_to_mesh_axes(("embed", "mlp"), renamed) == (
    PartitionSpec("data", "model")
  )
