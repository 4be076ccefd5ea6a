"""One update of the parameters, as a pure function."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax
from clu import metrics as clu_metrics

from inksight_jax.training import optimizers
from inksight_jax.training import state as state_lib

Batch = Mapping[str, jax.Array]
StepFunction = Callable[
  [state_lib.TrainState, Batch],
  tuple[state_lib.TrainState, dict[str, Any], jax.Array],
]


def make_train_step(
  model: Any,
  optimizer: optax.GradientTransformation,
  seed: int,
  microbatches: int = 1,
  rng_impl: str | None = None,
) -> StepFunction:
  """Builds the train step of a model.

  Args:
    model: has `loss_fn` and, for microbatches, `loss_normalizer`.
    optimizer: optax optimiser.
    seed: seed of the run; dropout at step s uses fold_in(key(seed), s).
    microbatches: parts the batch is cut into; gradients are summed in float32,
      so the update is that of the whole batch at a fraction of its memory.
    rng_impl: generator of dropout; see `state.split_seed`.

  Returns:
    (state, batch) -> (next state, clu metrics, float32[2] of the loss and the
    gradient norm, which must be finite).
  """
  if microbatches < 1:
    raise ValueError(f"microbatches is {microbatches}; it must be at least 1.")

  def train_step(
    state: state_lib.TrainState, batch: Batch
  ) -> tuple[state_lib.TrainState, dict[str, Any], jax.Array]:
    _, train_key = state_lib.split_seed(seed, rng_impl)
    dropout_key = jax.random.fold_in(train_key, state.step)
    if microbatches == 1:
      (loss, metrics), grads = jax.value_and_grad(model.loss_fn, has_aux=True)(
        state.params, batch, dropout_key
      )
    else:
      loss, metrics, grads = _accumulate(
        model, state.params, batch, dropout_key, microbatches
      )
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    grad_norm = optax.tree.norm(grads)
    metrics = dict(metrics, grad_norm=_scalar_metric(grad_norm))
    learning_rate = optimizers.learning_rate_of(opt_state)
    if learning_rate is not None:
      metrics["learning_rate"] = _scalar_metric(learning_rate)
    next_state = state_lib.TrainState(
      step=state.step + 1, params=params, opt_state=opt_state
    )
    health = jnp.stack([loss, grad_norm]).astype(jnp.float32)
    return next_state, metrics, health

  return train_step


def _accumulate(
  model: Any,
  params: Any,
  batch: Batch,
  dropout_key: jax.Array,
  microbatches: int,
) -> tuple[jax.Array, dict[str, Any], Any]:
  """Loss, metrics and gradients of a batch, part by part."""
  rows = next(iter(batch.values())).shape[0]
  if rows % microbatches:
    raise ValueError(
      f"A batch of {rows} examples cannot be cut into {microbatches} equal "
      "microbatches; choose a divisor."
    )
  normalizer = model.loss_normalizer(batch)
  # Every n-th row goes to the same part, so that each device cuts the rows it
  # already holds instead of exchanging them.
  parts = jax.tree.map(
    lambda x: jnp.moveaxis(
      x.reshape((rows // microbatches, microbatches, *x.shape[1:])), 1, 0
    ),
    dict(batch),
  )

  def loss_and_grads(
    part: Batch, key: jax.Array
  ) -> tuple[jax.Array, dict[str, Any], Any]:
    (loss, metrics), grads = jax.value_and_grad(model.loss_fn, has_aux=True)(
      params, part, key, normalizer
    )
    return loss, metrics, jax.tree.map(lambda g: g.astype(jnp.float32), grads)

  def add(carry: Any, part: Batch) -> tuple[Any, None]:
    index, key, loss, metrics, grads = carry
    key, part_key = jax.random.split(key)
    new_loss, new_metrics, new_grads = loss_and_grads(part, part_key)
    merged = {
      # The first carry is only a placeholder of the right shape.
      name: jax.tree.map(
        lambda first, both: jnp.where(index == 0, first, both),
        metric,
        metrics[name].merge(metric),
      )
      for name, metric in new_metrics.items()
    }
    grads = jax.tree.map(jnp.add, grads, new_grads)
    return (index + 1, key, loss + new_loss, merged, grads), None

  shapes = jax.eval_shape(
    loss_and_grads, jax.tree.map(lambda x: x[0], parts), dropout_key
  )
  empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
  carry = (jnp.int32(0), dropout_key, *empty)
  (_, _, loss, metrics, grads), _ = jax.lax.scan(add, carry, parts)
  return loss, metrics, grads


def _scalar_metric(value: jax.Array) -> clu_metrics.Average:
  # Checkers cannot see the fields that clu declares through `flax.struct`.
  return cast(Any, clu_metrics.Average)(
    total=value.astype(jnp.float32), count=jnp.float32(1.0)
  )
