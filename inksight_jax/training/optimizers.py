"""Optimisers, learning-rate schedules and frozen parameters."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Schedule = Callable[[Any], Any]

# Parameters that weight decay would only push around: they are not the
# weights of a product.
NO_DECAY = (r"bias", r"scale", r"pos_embedding", r"rel_embedding")


class LearningRateState(NamedTuple):
  """State of `scale_by_schedule`.

  Attributes:
    count: int32 scalar, updates done.
    learning_rate: float32 scalar, the rate of the last update.
  """

  count: jax.Array
  learning_rate: jax.Array


def warmup_cosine(
  peak: float, warmup_steps: int, train_steps: int, final: float = 0.0
) -> Schedule:
  """Linear warm-up to `peak`, then a cosine to `final * peak`.

  Args:
    peak: highest learning rate.
    warmup_steps: steps until the peak.
    train_steps: steps until the end, warm-up included.
    final: fraction of the peak left at the end.

  Returns:
    Learning rate as a function of the step.
  """
  _check_steps(warmup_steps, train_steps)
  decay = optax.cosine_decay_schedule(
    peak, max(train_steps - warmup_steps, 1), alpha=final
  )
  return _after_warmup(decay, peak, warmup_steps)


def warmup_linear(
  peak: float, warmup_steps: int, train_steps: int, final: float = 0.0
) -> Schedule:
  """Linear warm-up to `peak`, then a line to `final * peak`; see above."""
  _check_steps(warmup_steps, train_steps)
  decay = optax.linear_schedule(
    peak, final * peak, max(train_steps - warmup_steps, 1)
  )
  return _after_warmup(decay, peak, warmup_steps)


def warmup_rsqrt(peak: float, warmup_steps: int) -> Schedule:
  """Linear warm-up, then `peak * sqrt(warmup_steps / step)`.

  The shape of T5 (Raffel et al. 2020, section 3.1.2); needs no end.
  """
  warmup_steps = max(warmup_steps, 1)

  def schedule(step: Any) -> Any:
    step = jnp.asarray(step, jnp.float32)
    return peak * jnp.minimum(
      (step + 1) / warmup_steps,
      jnp.sqrt(warmup_steps / jnp.maximum(step + 1, warmup_steps)),
    )

  return schedule


def warmup_constant(peak: float, warmup_steps: int = 0) -> Schedule:
  """Linear warm-up to `peak`, then constant."""
  return _after_warmup(optax.constant_schedule(peak), peak, warmup_steps)


def scale_by_schedule(schedule: Schedule) -> optax.GradientTransformation:
  """Multiplies updates by minus the learning rate, and remembers the rate.

  Args:
    schedule: learning rate as a function of the step.

  Returns:
    A transformation whose state names the rate, so that it can be logged.
  """

  def init(params: Any) -> LearningRateState:
    del params
    return LearningRateState(
      jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32)
    )

  def update(
    updates: Any, state: Any, params: Any = None
  ) -> tuple[Any, LearningRateState]:
    del params
    rate = jnp.asarray(schedule(state.count), jnp.float32)
    updates = jax.tree.map(lambda u: (-rate).astype(u.dtype) * u, updates)
    return updates, LearningRateState(state.count + 1, rate)

  return optax.GradientTransformation(init, update)


def adamw(
  learning_rate: float | Schedule = 1e-3,
  b1: float = 0.9,
  b2: float = 0.98,
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  max_grad_norm: float | None = 1.0,
  no_decay: Sequence[str] = NO_DECAY,
) -> optax.GradientTransformation:
  """AdamW (Loshchilov and Hutter 2019) with clipping by the global norm.

  Args:
    learning_rate: rate, or schedule.
    b1: decay of the first moment.
    b2: decay of the second moment.
    eps: added to the root of the second moment.
    weight_decay: decoupled; multiplied by the learning rate.
    max_grad_norm: gradients are scaled down to this norm; None for never.
    no_decay: regular expressions; parameters whose last name matches one in
      full are not decayed.

  Returns:
    The optimiser.
  """

  def decayed(params: Any) -> Any:
    return path_mask(
      params,
      lambda path: not any(re.fullmatch(p, path[-1]) for p in no_decay),
    )

  parts = []
  if max_grad_norm is not None:
    parts.append(optax.clip_by_global_norm(max_grad_norm))
  parts.append(optax.scale_by_adam(b1=b1, b2=b2, eps=eps))
  if weight_decay:
    parts.append(optax.add_decayed_weights(weight_decay, mask=decayed))
  parts.append(scale_by_schedule(_as_schedule(learning_rate)))
  return optax.chain(*parts)


def adafactor(
  learning_rate: float | Schedule = 1e-2,
  decay_rate: float = 0.8,
  decay_offset: int = 0,
  multiply_by_parameter_scale: bool = True,
  clipping_threshold: float | None = 1.0,
  min_dim_size_to_factor: int = 128,
  weight_decay: float = 0.0,
) -> optax.GradientTransformation:
  """Adafactor (Shazeer and Stern 2018) with T5's settings.

  Layers stacked by `scan_layers` share one parameter scale and one update
  clipping, as they are one array.

  Args:
    learning_rate: rate, or schedule; relative to each parameter's RMS when
      `multiply_by_parameter_scale`.
    decay_rate: exponent of the second-moment decay.
    decay_offset: step at which a fine-tuning starts.
    multiply_by_parameter_scale: relative step sizes.
    clipping_threshold: largest RMS of an update; None for no clipping.
    min_dim_size_to_factor: smaller matrices keep full second moments.
    weight_decay: decoupled; multiplied by the learning rate.

  Returns:
    The optimiser.
  """
  parts = [
    optax.scale_by_factored_rms(
      factored=True,
      decay_rate=decay_rate,
      step_offset=decay_offset,
      min_dim_size_to_factor=min_dim_size_to_factor,
    )
  ]
  if clipping_threshold is not None:
    parts.append(optax.clip_by_block_rms(clipping_threshold))
  if multiply_by_parameter_scale:
    parts.append(optax.scale_by_param_block_rms())
  if weight_decay:
    parts.append(optax.add_decayed_weights(weight_decay))
  parts.append(scale_by_schedule(_as_schedule(learning_rate)))
  return optax.chain(*parts)


def freeze(
  optimizer: optax.GradientTransformation,
  patterns: Sequence[str] = ("image_encoder",),
) -> optax.GradientTransformation:
  """Leaves the parameters under some names as they are, without state.

  Args:
    optimizer: updates all other parameters.
    patterns: regular expressions; a parameter is frozen when one matches the
      start of its path, names joined by "/".

  Returns:
    The optimiser.

  Raises:
    ValueError: at initialisation, when a pattern matches no parameter.
  """
  patterns = tuple(patterns)

  def labels(params: Any) -> Any:
    paths = ["/".join(path) for path in parameter_paths(params)]
    for pattern in patterns:
      if not any(re.match(pattern, path) for path in paths):
        top = sorted({path.split("/")[0] for path in paths})
        raise ValueError(
          f"freeze: no parameter starts with {pattern!r}; the top-level "
          f"modules are {', '.join(top)}."
        )
    frozen = path_mask(
      params,
      lambda path: any(re.match(p, "/".join(path)) for p in patterns),
    )
    return jax.tree.map(lambda f: "frozen" if f else "trained", frozen)

  return optax.multi_transform(
    {"trained": optimizer, "frozen": optax.set_to_zero()}, labels
  )


def by_network(
  optimizers: Mapping[str, optax.GradientTransformation],
) -> optax.GradientTransformation:
  """Gives each network of a model its own optimiser.

  Args:
    optimizers: by the name of a top-level module of the parameters.

  Returns:
    The optimiser.

  Raises:
    ValueError: at initialisation, when a module has none, or a name no module.
  """

  def labels(params: Any) -> Any:
    if set(params) != set(optimizers):
      raise ValueError(
        f"by_network has optimisers for {', '.join(sorted(optimizers))}; the "
        f"top-level modules are {', '.join(sorted(params))}."
      )
    return jax.tree_util.tree_map_with_path(
      lambda path, _: _names(path)[0], params
    )

  # Annotated with any hashable label, which a mapping of names is not.
  return optax.multi_transform({**optimizers}, labels)


def follow(decay: float = 0.999) -> optax.GradientTransformation:
  """Moves parameters by 1 - decay against their gradient.

  Where the gradient is their distance from others, they become the exponential
  moving average of those.
  """
  return optax.sgd(1.0 - decay)


def learning_rate_of(opt_state: Any) -> jax.Array | None:
  """The rate of the last update, where `scale_by_schedule` recorded one."""
  states = jax.tree.leaves(
    opt_state, is_leaf=lambda node: isinstance(node, LearningRateState)
  )
  for state in states:
    if isinstance(state, LearningRateState):
      return state.learning_rate
  return None


def path_mask(
  params: Mapping[str, Any], condition: Callable[[tuple[str, ...]], bool]
) -> Any:
  """Boolean tree: the condition on each parameter's path of names."""
  return jax.tree_util.tree_map_with_path(
    lambda path, _: condition(_names(path)), params
  )


def parameter_paths(params: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """Paths of names of all parameters."""
  flat, _ = jax.tree_util.tree_flatten_with_path(params)
  return [_names(path) for path, _ in flat]


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
  return tuple(str(getattr(key, "key", key)) for key in path)


def _as_schedule(learning_rate: float | Schedule) -> Schedule:
  if callable(learning_rate):
    return learning_rate
  return optax.constant_schedule(learning_rate)


def _after_warmup(decay: Schedule, peak: float, warmup_steps: int) -> Schedule:
  """Joins a linear warm-up, whose first update is already non-zero, to it."""
  if warmup_steps <= 0:
    return decay

  def schedule(step: Any) -> Any:
    rising = peak * (jnp.asarray(step, jnp.float32) + 1) / warmup_steps
    return jnp.where(
      step < warmup_steps, rising, decay(jnp.maximum(step - warmup_steps, 0))
    )

  return schedule


def _check_steps(warmup_steps: int, train_steps: int) -> None:
  if not 0 <= warmup_steps <= train_steps:
    raise ValueError(
      f"warmup_steps is {warmup_steps} but train_steps is {train_steps}; the "
      "warm-up must end before training does."
    )
