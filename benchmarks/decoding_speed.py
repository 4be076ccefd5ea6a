"""Seconds a word at InkSight's size, beside PyTorch where it is there.

  python benchmarks/decoding_speed.py --size=small --batch_size=1,16 \\
    --bfloat16 --int8 --alone=16
  python benchmarks/decoding_speed.py --size=small \\
    --torch_python=torch/bin/python --rounds=5

Random weights, random pictures; the end is forced after `--tokens`, so that
every answer is as long as the ink of a word usually is, whatever the limit. A
word is the encoding of its picture and prompt and all its tokens. PyTorch runs
the ViT and T5 1.1 of `transformers` of the same widths and depths with their
key/value cache. Each has a process of its own, which sleeps while the other is
measured; they take turns, so what else the machine does meets both. The
programs are compiled, or warmed up, by a first call that is reported apart.
Last, rows of the largest batch are decoded alone by each of ours: `equal rows`
counts those whose tokens are the same.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import workers

PROMPT_LENGTH = 32
VOCAB = 32768
EOS = 1

Decode = Callable[[dict[str, Any]], Any]


@dataclasses.dataclass(frozen=True)
class Size:
  """Widths and depths that ours and PyTorch's share."""

  image: int
  patch: int
  width: int
  depth: int
  vit_mlp: int
  mlp: int
  heads: int


SIZES = {
  # ViT-B/16 and mT5-base.
  "small": Size(224, 16, 768, 12, 3072, 2048, 12),
  "tiny": Size(64, 8, 192, 4, 768, 512, 3),
}


def parse_arguments() -> argparse.Namespace:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
  parser.add_argument("--size", default="small", choices=sorted(SIZES))
  parser.add_argument("--tokens", type=int, default=150)
  parser.add_argument(
    "--limit",
    type=int,
    help="ours may write so many tokens, and ends after --tokens all the same",
  )
  parser.add_argument("--batch_size", default="1,16", help="for example 1,16")
  parser.add_argument("--rounds", type=int, default=3)
  parser.add_argument(
    "--torch_python",
    metavar="PROGRAM",
    help="a Python that has torch and transformers",
  )
  for weights in ("bfloat16", "int8"):
    parser.add_argument(
      f"--{weights}",
      action="store_true",
      help=f"ours with {weights} weights as well",
    )
  parser.add_argument(
    "--alone", type=int, default=2, help="rows that are decoded alone, too"
  )
  parser.add_argument("--json", action="store_true")
  # What the processes that are measured are started with.
  parser.add_argument(
    "--worker", choices=sorted(WORKERS), help=argparse.SUPPRESS
  )
  return parser.parse_args()


def features(size: Size, rows: int) -> dict[str, np.ndarray]:
  """Random pictures and prompts; the first rows are those of fewer rows."""
  images, prompts = [], []
  for row in range(rows):
    rng = np.random.default_rng(row)
    images.append(rng.integers(0, 256, (size.image, size.image, 3), np.uint8))
    prompts.append(rng.integers(3, 200, PROMPT_LENGTH, np.int32))
  return {
    "encoder_input_image": np.stack(images),
    "encoder_input_tokens": np.stack(prompts),
  }


def ours(size: Size, tokens: int, limit: int, weights: str) -> Decode:
  """This project's network, decoded as prediction does."""
  import jax
  import jax.numpy as jnp

  from inksight_jax.inference.decoder import Decoder
  from inksight_jax.models.sequence_to_sequence import SequenceToSequence
  from inksight_jax.networks import decoding, inksight, mt5, row_kernels, vit
  from inksight_jax.pipeline.spec import InkSightTasks

  endless = decoding.forbid_end(tokens, EOS)

  class AsLong(SequenceToSequence):
    """All its answers have `tokens` tokens, whatever the limit."""

    def decode_batch(
      self,
      params: Any,
      batch: Any,
      rng: Any = None,
      config: Any = None,
      logit_transform: Any = None,
    ) -> Any:
      del logit_transform

      def end(logits: Any, written: Any, index: Any) -> Any:
        is_end = jnp.arange(VOCAB)[None] == EOS
        logits = endless(logits, written, index)
        return jnp.where(is_end & (index >= tokens), 1e9, logits)

      return super().decode_batch(params, batch, rng, config, end)

  vit_config = vit.ViTConfig(
    image_size=size.image,
    patch_size=size.patch,
    width=size.width,
    depth=size.depth,
    mlp_dim=size.vit_mlp,
    num_heads=size.heads,
  )
  mt5_config = mt5.MT5Config(
    vocab_size=VOCAB,
    emb_dim=size.width,
    num_heads=size.heads,
    head_dim=size.width // size.heads,
    mlp_dim=size.mlp,
    num_encoder_layers=size.depth,
    num_decoder_layers=size.depth,
    dropout_rate=0.0,
  )
  model = AsLong(
    inksight.InkSight(inksight.InkSightConfig(vit_config, mt5_config))
  )
  shapes: dict[str, Any] = {k: x.shape for k, x in features(size, 1).items()}
  shapes |= dict.fromkeys(
    ("decoder_input_tokens", "decoder_target_tokens"), (1, 4)
  )
  params = jax.jit(
    lambda: model.get_initial_variables(jax.random.key(0), shapes)["params"]
  )()
  params = row_kernels.arrange(params, weights)
  config = decoding.DecodeConfig(max_length=limit, eos_id=EOS)
  tasks = InkSightTasks(
    source="generated_words",
    image_size=size.image,
    input_length=PROMPT_LENGTH,
  )
  decoders: dict[int, Decoder] = {}

  def decode(batch: dict[str, Any]) -> Any:
    images = batch["encoder_input_image"]
    rows = len(images)
    if rows not in decoders:
      decoders[rows] = Decoder(model, tasks, rows, config, constrained=False)
    found = decoders[rows].answer(
      params, images, batch["encoder_input_tokens"], ["derender"] * rows
    )
    return np.stack([answer.tokens for answer in found])

  return decode


def theirs(size: Size, tokens: int, limit: int) -> Decode:
  """The same sizes in PyTorch, whose cache is as long as the answer."""
  del limit
  import torch
  import transformers

  torch.manual_seed(0)
  picture = transformers.ViTModel(
    transformers.ViTConfig(
      hidden_size=size.width,
      num_hidden_layers=size.depth,
      num_attention_heads=size.heads,
      intermediate_size=size.vit_mlp,
      image_size=size.image,
      patch_size=size.patch,
      hidden_act="gelu_pytorch_tanh",
    ),
    add_pooling_layer=False,
  ).eval()
  text = transformers.T5ForConditionalGeneration(
    transformers.T5Config(
      vocab_size=VOCAB,
      d_model=size.width,
      d_kv=size.width // size.heads,
      d_ff=size.mlp,
      num_layers=size.depth,
      num_decoder_layers=size.depth,
      num_heads=size.heads,
      feed_forward_proj="gated-gelu",
      tie_word_embeddings=False,
    )
  ).eval()

  @torch.inference_mode()
  def decode(batch: dict[str, Any]) -> Any:
    image = torch.tensor(batch["encoder_input_image"]).permute(0, 3, 1, 2)
    patches = picture(image / 127.5 - 1.0).last_hidden_state[:, 1:]
    prompt = text.shared(torch.tensor(batch["encoder_input_tokens"]))
    encoded = text.encoder(inputs_embeds=torch.cat([patches, prompt], dim=1))
    newest = torch.zeros((len(patches), 1), dtype=torch.long)
    cache, written = None, []
    for _ in range(tokens):
      answer = text(
        encoder_outputs=encoded,
        decoder_input_ids=newest,
        past_key_values=cache,
        use_cache=True,
      )
      cache = answer.past_key_values
      logits = answer.logits[:, -1]
      logits[:, EOS] = -1e9
      newest = logits.argmax(-1, keepdim=True)
      written.append(newest)
    return torch.cat(written, dim=1).numpy()

  return decode


WORKERS: dict[str, Callable[[Size, int, int], Decode]] = {
  "JAX": functools.partial(ours, weights="float32"),
  "JAX bfloat16": functools.partial(ours, weights="bfloat16"),
  "JAX int8": functools.partial(ours, weights="int8"),
  "PyTorch": theirs,
}


def answers(
  name: str, size: Size, tokens: int, limit: int
) -> Callable[[dict[str, Any]], dict[str, Any]]:
  """Builds a model; the result decodes as many rows as it is told."""
  decode = WORKERS[name](size, tokens, limit)

  def answer(question: dict[str, Any]) -> dict[str, Any]:
    batch = features(size, question["rows"])
    start = time.perf_counter()
    found = decode(batch)
    seconds = time.perf_counter() - start
    single = [
      decode({k: x[i : i + 1] for k, x in batch.items()})[0]
      for i in range(min(question["alone"], question["rows"]))
    ]
    equal = [np.array_equal(a, b) for a, b in zip(single, found, strict=False)]
    return {"seconds": seconds, "equal": sum(equal), "checked": len(equal)}

  return answer


def start(name: str, python: str, args: argparse.Namespace) -> workers.Worker:
  """A process with one of the models."""
  options = [f"--size={args.size}", f"--tokens={args.tokens}"]
  options.append(f"--limit={args.limit or args.tokens}")
  return workers.Worker(name, [python, __file__, f"--worker={name}", *options])


def measure(
  models: dict[str, workers.Worker], sizes: list[int], args: argparse.Namespace
) -> list[dict[str, Any]]:
  """One row of numbers for each model and batch size."""
  results = []
  for rows in sizes:
    measured = workers.rounds(models, {"rows": rows, "alone": 0}, args.rounds)
    for name, (first, times) in measured.items():
      median = workers.median(times)
      results.append(
        {
          "model": name,
          "batch_size": rows,
          "seconds_per_word": median / rows,
          "least_seconds_per_word": min(times) / rows,
          "ms_per_step": 1e3 * median / args.tokens,
          "first_call_seconds": first["seconds"],
        }
      )
  return results


def main() -> None:
  """Measures and prints."""
  args = parse_arguments()
  if args.worker:
    size = SIZES[args.size]
    workers.serve(lambda: answers(args.worker, size, args.tokens, args.limit))
    return
  sizes = [int(rows) for rows in args.batch_size.split(",")]
  models = {"JAX": start("JAX", sys.executable, args)}
  for weights in ("bfloat16", "int8"):
    if getattr(args, weights):
      name = f"JAX {weights}"
      models[name] = start(name, sys.executable, args)
  if args.torch_python:
    models["PyTorch"] = start("PyTorch", args.torch_python, args)
  results = measure(models, sizes, args)
  question = {"rows": max(sizes), "alone": args.alone}
  checks = {
    name: model.ask(question)
    for name, model in models.items()
    if name != "PyTorch"
  }
  for model in models.values():
    model.close()
  if args.json:
    summary = {"size": args.size, "tokens": args.tokens, "rounds": args.rounds}
    summary |= {"checks": checks, "results": results}
    print(json.dumps(summary, indent=2))
    return
  print(f"{args.size}, {args.tokens} tokens, median of {args.rounds}")
  for row in results:
    print(
      f"{row['model']:<12} batch {row['batch_size']:>2}: "
      f"{row['seconds_per_word']:.3f} s a word "
      f"(least {row['least_seconds_per_word']:.3f}), "
      f"{row['ms_per_step']:.1f} ms a step, first call "
      f"{row['first_call_seconds']:.1f} s"
    )
  for name, check in checks.items():
    print(f"{name}, equal rows: {check['equal']} of {check['checked']}")


if __name__ == "__main__":
  main()
