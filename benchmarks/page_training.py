"""Memory and pages per second of a training step, beside PyTorch.

  python benchmarks/page_training.py --torch_python=torch/bin/python
  python benchmarks/page_training.py --size=18 --height=880 --width=640 \\
    --tokens=512 --batch_size=2 --torch_python=torch/bin/python --rounds=5

A ResNet and a Transformer decoder of the same widths and depths, AdamW,
float32, random pages and texts; ours as it trains (masked norms, checks of the
gradient, metrics), PyTorch's with its own layers (`GroupNorm`,
`TransformerDecoder`) and no masks. Each has a process of its own, which sleeps
while the other is measured; they take turns, so that what else the machine does
meets both. Both may use the cores that this program may use. The first step,
for which ours is compiled before, is reported apart. The memory is the most
that a process holds while it takes the later steps, and that without what it
holds between two of them, once what it has freed is given back to the system:
compiling is no part of it. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import json
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import workers

VOCAB = 88

# Takes one step and returns the loss.
Step = Callable[[dict[str, np.ndarray]], float]


@dataclasses.dataclass(frozen=True)
class Size:
  """Widths and depths that ours and PyTorch's share.

  Attributes:
    blocks, channels, stem: of the ResNet.
    pool: whether a maximum follows the stem.
    strides: (height, width) of stem, pooling and stages, in order.
    width, heads, mlp, layers: of the decoder.
  """

  blocks: tuple[int, ...]
  channels: tuple[int, ...]
  stem: int
  pool: bool
  strides: tuple[tuple[int, int], ...]
  width: int
  heads: int
  mlp: int
  layers: int

  @property
  def cell(self) -> tuple[int, int]:
    """Pixels of a cell, (height, width)."""
    high, wide = np.prod(np.array(self.strides), axis=0).tolist()
    return high, wide


SIZES = {
  # gin/sizes/page_reader_base.gin and page_reader_mini.gin.
  "18": Size(
    (2, 2, 2, 2),
    (64, 128, 256, 512),
    7,
    True,
    ((2, 2), (2, 2), (1, 1), (2, 2), (2, 1), (2, 1)),
    256,
    4,
    1024,
    6,
  ),
  "mini": Size(
    (1, 1, 2, 2),
    (16, 32, 64, 128),
    5,
    False,
    ((2, 2), (1, 1), (2, 2), (2, 2), (2, 1)),
    128,
    4,
    256,
    2,
  ),
}


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--size", default="mini", choices=sorted(SIZES))
  parser.add_argument("--height", type=int, default=176)
  parser.add_argument("--width", type=int, default=208)
  parser.add_argument("--tokens", type=int, default=128)
  parser.add_argument("--batch_size", type=int, default=16)
  parser.add_argument("--steps", type=int, default=4, help="of a round")
  parser.add_argument("--rounds", type=int, default=5)
  parser.add_argument(
    "--torch_python", metavar="PROGRAM", help="a Python that has torch"
  )
  parser.add_argument("--json", action="store_true")
  # What the processes that are measured are started with.
  parser.add_argument(
    "--worker", choices=sorted(MODELS), help=argparse.SUPPRESS
  )
  return parser.parse_args()


def random_batch(args: argparse.Namespace) -> dict[str, np.ndarray]:
  """Pages of noise that fill their frames, texts of the greatest length."""
  rng = np.random.default_rng(0)
  targets = rng.integers(3, VOCAB, (args.batch_size, args.tokens), np.int32)
  shape = (args.batch_size, args.height, args.width, 3)
  return {
    "encoder_input_image": rng.integers(0, 256, shape, np.uint8),
    "decoder_input_tokens": np.pad(targets[:, :-1], ((0, 0), (1, 0))),
    "decoder_target_tokens": targets,
    "decoder_loss_weights": np.ones(targets.shape, np.float32),
  }


def ours(size: Size, batch: dict[str, np.ndarray]) -> tuple[Step, int]:
  """This project's network and step; with the number of parameters."""
  import jax

  from inksight_jax.models.sequence_to_sequence import SequenceToSequence
  from inksight_jax.networks import page_reader, resnet, transformer_decoder
  from inksight_jax.training import loop, mesh, optimizers, state
  from inksight_jax.training import step as step_lib

  network = page_reader.PageReader(
    page_reader.PageReaderConfig(
      resnet=resnet.ResNetConfig(
        width=size.width,
        blocks=size.blocks,
        channels=size.channels,
        stride=size.cell,
        stem_kernel=size.stem,
        max_pool=size.pool,
      ),
      decoder=transformer_decoder.DecoderConfig(
        VOCAB,
        size.width,
        size.heads,
        size.mlp,
        size.layers,
        activation="gelu",
        position="sincos",
        embedding_norm=False,
        max_length=batch["decoder_input_tokens"].shape[1],
      ),
    )
  )
  model = SequenceToSequence(network)
  optimizer = optimizers.adamw(2e-4)
  shapes = {name: x.shape for name, x in batch.items()}
  types = {name: x.dtype for name, x in batch.items()}
  here = mesh.make_mesh(devices=jax.devices()[:1])
  abstract, shardings = state.abstract_state(
    model, optimizer, shapes, types, here, mesh.LOGICAL_AXIS_RULES
  )
  held = [state.initial_state(model, optimizer, shapes, types, shardings, 0)]
  train_step = step_lib.make_train_step(model, optimizer, 0)
  take = loop.compile_step(train_step, abstract, shardings, batch)

  def step(batch: dict[str, np.ndarray]) -> float:
    held[0], _, health = take(held[0], batch)
    return float(np.asarray(health)[0])

  return step, state.count_parameters(held[0].params)


def theirs(size: Size, batch: dict[str, np.ndarray]) -> tuple[Step, int]:
  """The same sizes in PyTorch."""
  del batch
  import page_torch

  trainer = page_torch.Trainer(size, VOCAB)
  return trainer.step, trainer.parameters


MODELS: dict[str, Callable[[Size, dict[str, np.ndarray]], tuple[Step, int]]] = {
  "JAX": ours,
  "PyTorch": theirs,
}


def _memory_mib(field: str) -> float:
  """`VmRSS`, memory held now, or `VmHWM`, the most held so far, MiB."""
  lines = pathlib.Path("/proc/self/status").read_text().splitlines()
  (line,) = [line for line in lines if line.startswith(f"{field}:")]
  return int(line.split()[1]) / 1024


def _resting_mib() -> float:
  """Memory held between two steps, MiB; the most held is counted anew."""
  gc.collect()
  ctypes.CDLL("libc.so.6").malloc_trim(0)
  # Documentation/filesystems/proc.rst of Linux: 5 resets the peak.
  pathlib.Path("/proc/self/clear_refs").write_text("5")
  return _memory_mib("VmRSS")


def answers(
  args: argparse.Namespace,
) -> Callable[[dict[str, Any]], dict[str, Any]]:
  """Of a worker: takes as many steps as a question says, in some seconds."""
  batch = random_batch(args)
  step, parameters = MODELS[args.worker](SIZES[args.size], batch)
  resting = 0.0

  def answer(question: dict[str, Any]) -> dict[str, Any]:
    nonlocal resting
    start = time.perf_counter()
    losses = [step(batch) for _ in range(question["steps"])]
    found = {
      "seconds": time.perf_counter() - start,
      "loss": losses[-1],
      "parameters": parameters,
      "peak_mib": _memory_mib("VmHWM"),
      "resting_mib": resting,
    }
    # The first step of all allocates the optimiser's state.
    resting = resting or _resting_mib()
    return found

  return answer


def measure(
  models: dict[str, workers.Worker], args: argparse.Namespace
) -> list[dict[str, Any]]:
  """A row of numbers for each model."""
  first = {name: model.ask({"steps": 1}) for name, model in models.items()}
  found: dict[str, list[dict[str, Any]]] = {name: [] for name in models}
  for _ in range(args.rounds):
    for name, model in models.items():
      found[name].append(model.ask({"steps": args.steps}))
  rows = []
  for name, rounds in found.items():
    seconds = [answer["seconds"] / args.steps for answer in rounds]
    last = rounds[-1]
    rows.append(
      {
        "model": name,
        "parameters": last["parameters"],
        "pages_per_second": args.batch_size / workers.median(seconds),
        "most_pages_per_second": args.batch_size / min(seconds),
        "first_step_seconds": first[name]["seconds"],
        "peak_mib": last["peak_mib"],
        "step_mib": last["peak_mib"] - last["resting_mib"],
        "loss": last["loss"],
      }
    )
  return rows


def main() -> None:
  """Measures and prints."""
  args = parse_arguments()
  if args.worker:
    workers.serve(lambda: answers(args))
    return
  pythons = {"JAX": sys.executable, "PyTorch": args.torch_python}
  models = {
    name: workers.Worker(
      name, [python, __file__, *sys.argv[1:], f"--worker={name}"]
    )
    for name, python in pythons.items()
    if python
  }
  rows = measure(models, args)
  for model in models.values():
    model.close()
  settings = {
    name: getattr(args, name)
    for name in ("size", "height", "width", "tokens", "batch_size", "rounds")
  }
  ratios = {}
  if len(rows) == 2:
    ratios = {
      f"{key}_ratio": rows[0][key] / rows[1][key]
      for key in ("pages_per_second", "peak_mib", "step_mib")
    }
  if args.json:
    print(json.dumps({**settings, **ratios, "results": rows}, indent=2))
    return
  print(", ".join(f"{name} {value}" for name, value in settings.items()))
  for row in rows:
    print(
      f"{row['model']:<8}{row['parameters']:,} parameters: "
      f"{row['pages_per_second']:.2f} pages a second "
      f"(most {row['most_pages_per_second']:.2f}), peak "
      f"{row['peak_mib']:.0f} MiB, {row['step_mib']:.0f} MiB more than between "
      f"steps, first step {row['first_step_seconds']:.1f} s, loss "
      f"{row['loss']:.3f}"
    )
  for name, value in ratios.items():
    print(f"{name}, ours over PyTorch's: {value:.2f}")


if __name__ == "__main__":
  main()
