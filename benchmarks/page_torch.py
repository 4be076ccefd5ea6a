"""Singh & Karayev's network in PyTorch, for `page_training.py`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn


def _conv(inputs: int, outputs: int, kernel: int, stride: Any) -> nn.Module:
  return nn.Sequential(
    nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
    nn.GroupNorm(outputs // 8, outputs),
  )


class Block(nn.Module):
  """Two 3 x 3 convolutions beside a shortcut."""

  def __init__(self, inputs: int, outputs: int, stride: Any) -> None:
    super().__init__()
    self.one = _conv(inputs, outputs, 3, stride)
    self.two = _conv(outputs, outputs, 3, 1)
    self.shortcut = None
    if inputs != outputs or tuple(stride) != (1, 1):
      self.shortcut = _conv(inputs, outputs, 1, stride)

  def forward(self, x: torch.Tensor) -> torch.Tensor:
    """float[batch, channels, height, width] to the same, strided."""
    y = self.two(torch.relu(self.one(x)))
    return torch.relu(y + (x if self.shortcut is None else self.shortcut(x)))


class Reader(nn.Module):
  """A ResNet, then a Transformer decoder.

  Args:
    size: widths and depths, `page_training.Size`.
    vocab: number of ids.
  """

  def __init__(self, size: Any, vocab: int) -> None:
    super().__init__()
    strides = iter(size.strides)
    stages = [_conv(1, size.channels[0], size.stem, next(strides)), nn.ReLU()]
    if size.pool:
      stages.append(nn.MaxPool2d(3, next(strides), 1))
    inputs = size.channels[0]
    for depth, channels in zip(size.blocks, size.channels, strict=True):
      stride: Any = next(strides)
      for _ in range(depth):
        stages.append(Block(inputs, channels, stride))
        inputs, stride = channels, (1, 1)
    self.encoder = nn.Sequential(*stages)
    self.projection = nn.Linear(inputs, size.width)
    self.embedding = nn.Embedding(vocab, size.width)
    layer = nn.TransformerDecoderLayer(
      size.width, size.heads, size.mlp, 0.1, "gelu", batch_first=True
    )
    self.decoder = nn.TransformerDecoder(layer, size.layers)
    self.head = nn.Linear(size.width, vocab, bias=False)
    self.width = size.width

  def forward(self, image: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Logits, float[batch, length, vocab], with teacher forcing."""
    grey = 1.0 - image.float().mean(-1)[:, None] / 255.0
    cells = self.projection(self.encoder(grey).flatten(2).transpose(1, 2))
    cells = cells + _sines(cells.shape[1], self.width)
    text = self.embedding(tokens) * self.width**0.5
    text = text + _sines(tokens.shape[1], self.width)
    causal = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1])
    return self.head(
      self.decoder(text, cells, tgt_mask=causal, tgt_is_causal=True)
    )


def _sines(length: int, width: int) -> torch.Tensor:
  rates = 10_000.0 ** -torch.linspace(0.0, 1.0, width // 2)
  angles = torch.arange(length)[:, None] * rates[None, :]
  return torch.cat([angles.sin(), angles.cos()], dim=1)


class Trainer:
  """The network and AdamW.

  Args:
    size: see `Reader`.
    vocab: number of ids.
  """

  def __init__(self, size: Any, vocab: int) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    self._reader = Reader(size, vocab).train()
    self._optimizer = torch.optim.AdamW(self._reader.parameters(), 2e-4)

  @property
  def parameters(self) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in self._reader.parameters())

  def step(self, batch: dict[str, np.ndarray]) -> float:
    """Takes one step and returns the loss."""
    self._optimizer.zero_grad(set_to_none=True)
    logits = self._reader(
      torch.from_numpy(batch["encoder_input_image"]),
      torch.from_numpy(batch["decoder_input_tokens"]).long(),
    )
    targets = torch.from_numpy(batch["decoder_target_tokens"]).long()
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    self._optimizer.step()
    return float(loss.detach())
