"""How much of what a reader sees in pictures is lost in others.

A distance of features in the place of pixels (Johnson et al. 2016, arXiv
1603.08155), of a network that reads: what keeps text legible weighs more than
where exactly an edge lies (Rodriguez et al. 2022, OCR-VQGAN, arXiv 2210.11248).
"""

from typing import Any, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from inksight_jax.networks import resnet


def lost(
  config: resnet.ResNetConfig,
  params: Any,
  image: Num[Array, "batch height width channels"],
  made: Float[Array, "batch height width other"],
) -> Float[Array, ""]:
  """Share of the variance of a reader's features that is lost.

  Of those of its last stage: the first ones see edges, which a distance of
  pixels sees as well. 0 where the reader sees the same; about 1 where it sees
  nothing of a picture. Only `made` gets a gradient.

  Args:
    config: of the reader's image encoder.
    params: of it.
    image: pictures, pixels 0 to 255.
    made: what is to look alike, pixels 0 to 255 and beyond.
  """
  network = resnet.ResNet(config)
  page = resnet.page_mask(image)
  fixed = jax.lax.stop_gradient(params)
  last = f"stage_{len(config.blocks) - 1}_block_{config.blocks[-1] - 1}"

  def features(pictures: Array) -> Array:
    _, seen = network.apply(
      {"params": fixed},
      pictures,
      mask=page,
      capture_intermediates=lambda part, _: part.name == last,
      mutable=["intermediates"],
    )
    ((found, _),) = cast(Any, seen)["intermediates"][last]["__call__"]
    return found

  real = features(image)
  # A picture without any features has nothing to lose.
  variance = jnp.mean(jnp.var(real, axis=(0, 1, 2))) + 1e-6
  return jnp.mean(jnp.square(features(made) - real)) / variance
