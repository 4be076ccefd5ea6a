"""What XLA is told when it compiles for a kind of device."""

import functools
import logging

import jax
import jax.numpy as jnp

_LOGGER = logging.getLogger(__name__)

# XLA's YNN library takes the gradients of convolution kernels two to five times
# as long as Eigen does, and many convolutions twice as long: docs/results.md,
# "A training step beside PyTorch".
_ON_CPUS: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}


def for_platform(platform: str) -> dict[str, str | bool]:
  """Options for `jax.jit(compiler_options=...)` and `Lowered.compile`.

  Args:
    platform: of the devices that the program is for, as `jax.Device.platform`.

  Returns:
    What makes training faster there; empty but on CPUs.
  """
  return dict(_ON_CPUS) if platform == "cpu" and _known() else {}


@functools.cache
def _known() -> bool:
  """Whether this XLA has the options; it may drop what is experimental."""
  # A mesh of its own: the one in use may be of other processes too.
  device = jax.local_devices(backend="cpu")[:1]
  number = jax.ShapeDtypeStruct((), jnp.float32)
  try:
    with jax.set_mesh(jax.make_mesh((1,), ("device",), devices=device)):
      jax.jit(jnp.negative).lower(number).compile(_ON_CPUS)
  except jax.errors.JaxRuntimeError as error:
    _LOGGER.info("Compiling without %s: %s", ", ".join(_ON_CPUS), error)
    return False
  return True
