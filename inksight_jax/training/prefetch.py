"""Batches, read ahead and placed on the devices by a thread."""

import queue
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jax.sharding import NamedSharding

HostBatch = Mapping[str, np.ndarray]


@runtime_checkable
class BatchSource(Protocol):
  """What a loop trains on.

  Its batches are all of one shape, unless an attribute `most_shapes` says how
  many shapes there are.
  """

  def batches(self, start: int = 0) -> Iterator[HostBatch]:
    """Iterates over batches, the same ones for the same `start`.

    Args:
      start: number of batches to leave out; should cost no time.
    """
    ...


class Prefetcher:
  """Iterates over (host batch, device batch) pairs, a few ahead.

  The host batch is kept beside the device batch so that one that breaks the
  loss can be saved.
  """

  def __init__(
    self,
    batches: Iterator[HostBatch],
    sharding: NamedSharding,
    ahead: int = 2,
    most_shapes: int = 1,
  ) -> None:
    """Starts reading.

    Args:
      batches: the process's own part of each batch.
      sharding: of the batches on the devices.
      ahead: number of batches waiting at most.
      most_shapes: shapes that batches may have.
    """
    self._batches = batches
    self._sharding = sharding
    self._queue: queue.Queue[Any] = queue.Queue(maxsize=ahead)
    self._stopped = threading.Event()
    self._shapes: list[dict[str, Any]] = []
    self._most_shapes = most_shapes
    self._thread = threading.Thread(
      target=self._run, name="prefetch", daemon=True
    )
    self._thread.start()

  def __iter__(self) -> "Prefetcher":
    """Itself."""
    return self

  def __next__(self) -> tuple[HostBatch, dict[str, jax.Array]]:
    """The next pair; raises whatever the source raised."""
    item = self._queue.get()
    if isinstance(item, BaseException):
      # Stays at the end however often it is asked.
      self._queue.put(item)
      raise item
    return item

  def close(self) -> None:
    """Stops reading."""
    self._stopped.set()
    while self._thread.is_alive():
      try:
        self._queue.get(timeout=0.05)
      except queue.Empty:
        continue
    self._thread.join()

  def _run(self) -> None:
    try:
      for batch in self._batches:
        self._check(batch)
        if not self._put((batch, place(batch, self._sharding))):
          return
      self._put(StopIteration())
    except Exception as error:
      self._put(error)
    finally:
      close = getattr(self._batches, "close", None)
      if close is not None:
        close()

  def _put(self, item: Any) -> bool:
    while not self._stopped.is_set():
      try:
        self._queue.put(item, timeout=0.1)
        return True
      except queue.Full:
        continue
    return False

  def _check(self, batch: HostBatch) -> None:
    """Every shape is a step to compile, so they must be few and foreseen."""
    shapes = {name: (x.shape, x.dtype) for name, x in batch.items()}
    if shapes not in self._shapes:
      self._shapes.append(shapes)
    if len(self._shapes) > self._most_shapes:
      raise ValueError(
        f"A batch has features {shapes} but the first one had "
        f"{self._shapes[0]}, and batches of {self._most_shapes} shapes were "
        "announced; "
        "pad all batches to one shape and drop a smaller last one."
      )


def place(batch: HostBatch, sharding: NamedSharding) -> dict[str, jax.Array]:
  """Puts this process's rows of a batch on its devices.

  Args:
    batch: features of this process's rows.
    sharding: of the global batch, split along its rows.

  Returns:
    Global arrays.

  Raises:
    ValueError: if the rows cannot be shared out evenly, or devices of another
      process need rows of this one.
  """
  mesh = sharding.mesh
  shards = int(np.prod([mesh.shape[axis] for axis in sharding.spec[0]]))
  rows = next(iter(batch.values())).shape[0] * jax.process_count()
  if rows % shards:
    raise ValueError(
      f"A batch of {rows} examples cannot be shared by {shards} data-parallel "
      "devices; make the batch size a multiple of data * fsdp."
    )
  if jax.process_count() > 1:
    _check_rows(sharding, rows)
  return {
    name: jax.make_array_from_process_local_data(sharding, np.asarray(array))
    for name, array in batch.items()
  }


def _check_rows(sharding: NamedSharding, rows: int) -> None:
  """Each process must feed its own devices, with an equal share of the rows.

  Where the model axis spans processes, several of them would have to bring the
  same rows; JAX would take different ones for the same without a word.
  """
  places = sharding.addressable_devices_indices_map((rows,)).values()
  blocks = {place[0].indices(rows) for place in places if place is not None}
  held = sum(stop - start for start, stop, _ in blocks)
  if held * jax.process_count() != rows:
    raise ValueError(
      f"The devices of process {jax.process_index()} hold {held} of {rows} "
      f"rows of a batch, but there are {jax.process_count()} processes; choose "
      "a model axis that divides the devices of one process."
    )
