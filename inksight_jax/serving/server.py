"""A small HTTP server around a predictor.

  POST /v1/predict?task=NAME&text=TEXT&format=json|inkml|svg   body: a picture
  GET  /healthz

For one machine, behind a proxy that speaks TLS and knows the users.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import http.server
import json
import logging
import signal
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any

import numpy as np

from inksight_jax.inference.predictor import Predictor
from inksight_jax.inference.requests import Request
from inksight_jax.inference.results import Result
from inksight_jax.rendering.images import read_image
from inksight_jax.serving.batcher import Batcher, QueueFull

_LOGGER = logging.getLogger(__name__)

PREDICT = "/v1/predict"
HEALTH = "/healthz"
# Connections that wait at the door; the system may allow fewer.
_BACKLOG = 1024

_FORMATS: dict[str, tuple[str, Callable[[Result], str]]] = {
  "json": ("application/json", lambda result: result.to_json()),
  "inkml": ("application/inkml+xml", lambda result: result.to_inkml()),
  "svg": ("image/svg+xml", lambda result: result.to_svg()),
}


@dataclasses.dataclass(frozen=True)
class Limits:
  """What one request may cost.

  Attributes:
    max_bytes: size of a picture file.
    max_pixels: of the decoded picture.
    timeout: seconds from the last byte of a request to its answer.
    read_timeout: seconds that a client may be silent while it sends.
    queue_size: requests that may wait for the model.
    decoders: pictures decoded at the same time; with `max_pixels` it bounds
      the memory.
  """

  max_bytes: int = 10_000_000
  max_pixels: int = 20_000_000
  timeout: float = 60.0
  read_timeout: float = 10.0
  queue_size: int = 512
  decoders: int = 2

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      if getattr(self, field.name) <= 0:
        raise ValueError(f"The limit {field.name} must be positive.")


class _Refused(Exception):
  """A request that is answered with an error."""

  def __init__(self, status: int, message: str) -> None:
    super().__init__(message)
    self.status = status


class Server(http.server.ThreadingHTTPServer):
  """Accepts requests until it is told to stop, and finishes those."""

  # Threads are waited for when the server closes.
  daemon_threads = False
  block_on_close = True
  request_queue_size = _BACKLOG

  def __init__(
    self,
    predictor: Predictor,
    host: str = "127.0.0.1",
    port: int = 8080,
    limits: Limits | None = None,
    task: str = "",
  ) -> None:
    """Binds the port and compiles the model for one picture and for many.

    Args:
      predictor: the model; batches are of its `batch_size` at most.
      host: address to listen at.
      port: 0 for any free one; see `server_port`.
      limits: what one request may cost.
      task: of requests that name none; the first of the model by default.

    Raises:
      ValueError: the model was not trained for the task.
      OSError: the port is taken.
    """
    self.predictor = predictor
    self.limits = limits or Limits()
    self.task = task or predictor.tasks.tasks[0]
    predictor.check_task(self.task)
    self.decoding = threading.Semaphore(self.limits.decoders)
    super().__init__((host, port), _Handler)
    self._warm_up()
    self.batcher: Batcher[Request, Result] = Batcher(
      predictor.predict_requests,
      predictor.batch_size,
      self.limits.queue_size,
    )

  def run(self, handle_signals: bool = True) -> None:
    """Serves until SIGTERM or SIGINT, then finishes what was accepted.

    Args:
      handle_signals: whether to listen to them; only in the main thread.
    """
    if handle_signals:
      for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: self.stop())
    try:
      self.serve_forever(poll_interval=0.1)
      self._take_in_the_last()
    finally:
      self.server_close()
      self.batcher.close()

  def stop(self) -> None:
    """Ends `run`, from any thread, at once."""
    # `shutdown` waits for the loop, which may be what is calling us.
    threading.Thread(target=self.shutdown).start()

  def _take_in_the_last(self) -> None:
    """Accepts connections that were made before the stop."""
    self.socket.setblocking(False)
    while True:
      try:
        connection, address = self.socket.accept()
      except OSError:
        return
      connection.setblocking(True)
      self.process_request(connection, address)

  def _warm_up(self) -> None:
    blank = np.full((*self.predictor.tasks.image_shape, 3), 255, np.uint8)
    request = self.predictor.request(self.predictor.prepare(blank), self.task)
    for count in {1, self.predictor.batch_size}:
      self.predictor.predict_requests([request] * count)

  def handle_error(self, request: Any, client_address: Any) -> None:
    """A client that went away is no event; anything else is logged."""
    _LOGGER.info("connection of %s ended early", client_address, exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
  server: Server

  def setup(self) -> None:
    super().setup()
    # Seconds of silence; the base class allows any.
    self.connection.settimeout(self.server.limits.read_timeout)

  def do_GET(self) -> None:
    if urllib.parse.urlsplit(self.path).path != HEALTH:
      return self._send_error(404, f"There are {HEALTH} and {PREDICT}.")
    if not self.server.batcher.alive:
      return self._send_error(503, "The model has stopped.")
    about = {
      "status": "ok",
      "tasks": list(self.server.predictor.tasks.tasks),
      "step": self.server.predictor.step,
    }
    return self._send(200, "application/json", json.dumps(about) + "\n")

  def do_POST(self) -> None:
    try:
      kind, text = self._predict()
    except _Refused as refused:
      return self._send_error(refused.status, str(refused))
    except TimeoutError:
      return self._send_error(408, "The request came too slowly.")
    return self._send(200, kind, text)

  def _predict(self) -> tuple[str, str]:
    """The answer to a picture: media type, document."""
    limits = self.server.limits
    parts = urllib.parse.urlsplit(self.path)
    if parts.path != PREDICT:
      raise _Refused(404, f"There are {HEALTH} and {PREDICT}.")
    query = dict(urllib.parse.parse_qsl(parts.query))
    kind = query.get("format", "json")
    if kind not in _FORMATS:
      raise _Refused(400, f"`format` is one of {', '.join(_FORMATS)}.")
    data = self._body(limits.max_bytes)
    try:
      request = self._request(data, query)
    except ValueError as error:
      raise _Refused(400, str(error)) from error
    try:
      future = self.server.batcher.submit(request, limits.timeout)
      result = future.result(limits.timeout)
    except QueueFull:
      raise _Refused(503, "Too many requests wait; come back.") from None
    except (TimeoutError, concurrent.futures.TimeoutError):
      raise _Refused(504, "The model took too long.") from None
    except Exception as error:
      _LOGGER.exception("prediction failed")
      raise _Refused(500, "The prediction failed.") from error
    media_type, write = _FORMATS[kind]
    return media_type, write(result)

  def _body(self, max_bytes: int) -> bytes:
    length = self.headers.get("Content-Length", "")
    if not length.isascii() or not length.isdigit():
      raise _Refused(411, "Content-Length is missing.")
    if int(length) > max_bytes:
      raise _Refused(413, f"A picture has {max_bytes} bytes at most.")
    # Not only each byte in time, but all of them.
    until = time.monotonic() + self.server.limits.timeout
    data = bytearray()
    while len(data) < int(length):
      part = self.rfile.read1(int(length) - len(data))
      if not part:
        raise _Refused(400, "The request was cut off.")
      if time.monotonic() > until:
        raise TimeoutError
      data += part
    return bytes(data)

  def _request(self, data: bytes, query: dict[str, str]) -> Request:
    predictor = self.server.predictor
    task = query.get("task", self.server.task)
    predictor.check_task(task)
    with self.server.decoding:
      image = read_image(data, self.server.limits.max_pixels)
      prepared = predictor.prepare(image)
    return predictor.request(prepared, task, query.get("text", ""))

  def _send(self, status: int, kind: str, text: str) -> None:
    data = text.encode("utf-8", "replace")
    self.send_response(status)
    self.send_header("Content-Type", f"{kind}; charset=utf-8")
    self.send_header("Content-Length", str(len(data)))
    if status == 503:
      self.send_header("Retry-After", "1")
    self.end_headers()
    self.wfile.write(data)
    if status != 200:
      self._read_the_rest()

  def _read_the_rest(self) -> None:
    """Takes what is left of a refused request, within bounds.

    Closing over it would reset the connection before the client has read why.
    """
    self.wfile.flush()
    left = self.server.limits.max_bytes
    with contextlib.suppress(OSError):
      self.connection.shutdown(socket.SHUT_WR)
      self.connection.settimeout(1.0)
      while left > 0 and (part := self.connection.recv(65536)):
        left -= len(part)

  def _send_error(self, status: int, message: str) -> None:
    document = json.dumps({"error": message}, ensure_ascii=False)
    self._send(status, "application/json", document + "\n")

  def log_message(self, format: str, *args: Any) -> None:
    _LOGGER.info("%s " + format, self.client_address[0], *args)
