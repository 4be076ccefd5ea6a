"""The HTTP server on loopback, around a model of random parameters."""

import concurrent.futures
import dataclasses
import http.client
import io
import json
import pathlib
import socket
import threading
import time
import urllib.parse

import jax
import numpy as np
import pytest
from PIL import Image

from inksight_jax.inference import recipe
from inksight_jax.inference.predictor import Predictor
from inksight_jax.serving.server import Limits, Server

TINY = pathlib.Path(__file__).parents[1] / "inference" / "tiny.gin"
LIMITS = Limits(max_bytes=20_000, max_pixels=40_000, read_timeout=1.0)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
  recipe.parse([str(TINY)])
  built = recipe.build()
  init = jax.jit(
    lambda key: built.model.get_initial_variables(
      key, built.tasks.input_shapes(1)
    )["params"]
  )
  params = init(jax.random.PRNGKey(0)).unfreeze()
  return Predictor(
    built.model, params, built.tasks, batch_size=4, constrained=True
  )


@pytest.fixture
def server(predictor: Predictor):
  running = Server(predictor, port=0, limits=LIMITS)
  thread = threading.Thread(target=running.run, args=(False,))
  thread.start()
  yield running
  running.stop()
  thread.join(30)
  assert not thread.is_alive()


def picture(seed: int = 0, side: int = 40, kind: str = "PNG") -> bytes:
  pixels = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, kind)
  return stream.getvalue()


def ask(server: Server, method="POST", path="/v1/predict", data=b"", **query):
  status, body, _ = answer(server, method, path, data, **query)
  return status, body


def answer(server: Server, method, path, data, **query):
  """Status, body and headers."""
  words = f"?{urllib.parse.urlencode(query)}" if query else ""
  client = http.client.HTTPConnection(*server.server_address[:2], timeout=60)
  client.request(method, path + words, data or None)
  response = client.getresponse()
  body = response.read()
  client.close()
  return response.status, body, response.headers


def test_answers_are_those_of_the_predictor(server, predictor: Predictor):
  for task, text in (("derender", ""), ("derender_with_text", "ab")):
    image = np.asarray(Image.open(io.BytesIO(picture())))
    texts = [text] if text else None
    expected = predictor.predict([image], task, texts)[0]
    status, body = ask(server, data=picture(), task=task, text=text)
    assert status == 200
    answer, wanted = json.loads(body), expected.to_dict()
    # Another batch size may round the last digit otherwise.
    assert answer.pop("confidence") == pytest.approx(wanted.pop("confidence"))
    assert answer == wanted
  status, body = ask(server, data=picture(), format="inkml")
  assert status == 200 and b"<ink" in body
  status, body = ask(server, "GET", "/healthz")
  assert (status, json.loads(body)["status"]) == (200, "ok")


def test_requests_that_cannot_be_met_are_refused(server):
  good = picture()
  refused = [
    (404, {"path": "/other", "data": good}),
    (404, {"method": "GET", "path": "/"}),
    (400, {"data": b"no picture"}),
    (400, {"data": good[:30]}),
    (400, {"data": good, "task": "read"}),
    (400, {"data": good, "format": "docx"}),
    (400, {"data": good, "task": "derender_with_text", "text": "a" * 99}),
    (400, {"data": picture(side=240, kind="JPEG")[:19_000]}),
    (413, {"data": b"x" * 30_000}),
    (400, {"data": b""}),
    (501, {"method": "PUT", "data": good}),
  ]
  for status, request in refused:
    assert ask(server, **request)[0] == status, request
  flat = io.BytesIO()
  Image.new("1", (400, 400)).save(flat, "PNG")
  status, body = ask(server, data=flat.getvalue())
  assert status == 400 and b"too large" in body
  with socket.create_connection(server.server_address[:2], timeout=30) as raw:
    raw.sendall(b"POST /v1/predict HTTP/1.0\r\n\r\n")
    assert b" 411 " in raw.recv(1000)
  # And it still works.
  assert ask(server, data=good)[0] == 200


def test_a_client_that_stops_sending_is_let_go(server):
  with socket.create_connection(server.server_address[:2], timeout=30) as slow:
    slow.sendall(b"POST /v1/predict HTTP/1.0\r\nContent-Length: 100\r\n\r\nab")
    assert b" 408 " in slow.recv(1000)


def test_a_full_queue_and_a_slow_model_are_told(predictor: Predictor):
  limits = dataclasses.replace(LIMITS, timeout=1.0, queue_size=1)
  running = Server(predictor, port=0, limits=limits)
  thread = threading.Thread(target=running.run, args=(False,))
  thread.start()
  real = predictor.predict_requests
  begun, go_on = threading.Event(), threading.Event()

  def held_up(requests):
    begun.set()
    assert go_on.wait(60)
    return real(requests)

  running.batcher._answer = held_up
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    decoding = pool.submit(ask, running, data=picture())
    assert begun.wait(30)
    waiting = pool.submit(ask, running, data=picture())
    while not running.batcher._queue.full():
      time.sleep(0.001)
    status, body, headers = answer(
      running, "POST", "/v1/predict", picture(side=8)
    )
    assert (status, headers["Retry-After"]) == (503, "1")
    assert b"Too many requests" in body
    # One is with the model, one in the queue; neither is kept for ever.
    for late in (decoding, waiting):
      status, body = late.result(30)
      assert status == 504 and b"too long" in body
  go_on.set()
  running.batcher._answer = real
  running.limits = LIMITS
  # Both are off the queue once the model goes on.
  while running.batcher._queue.full():
    time.sleep(0.001)
  assert ask(running, "GET", "/healthz")[0] == 200
  assert ask(running, data=picture())[0] == 200
  running.stop()
  thread.join(30)
  assert not thread.is_alive()


def test_a_stop_finishes_what_was_accepted(predictor: Predictor):
  running = Server(predictor, port=0, limits=LIMITS)
  thread = threading.Thread(target=running.run, args=(False,))
  thread.start()
  real, begun = predictor.predict_requests, threading.Event()

  def slowly(requests):
    begun.set()
    return real(requests)

  running.batcher._answer = slowly
  with concurrent.futures.ThreadPoolExecutor(24) as pool:
    asked = [
      pool.submit(ask, running, data=picture(seed), task="derender")
      for seed in range(24)
    ]
    assert begun.wait(30)
    # All have connected: some are answered, some wait, some knock.
    running.stop()
    done = [future.exception(60) for future in asked]
  thread.join(30)
  assert not thread.is_alive()
  answered = sum(error is None for error in done)
  # Whoever came too late was refused at the door, not left half-way.
  assert all(isinstance(e, ConnectionRefusedError) for e in done if e)
  assert answered >= 1
  assert all(
    future.result()[0] == 200
    for future, e in zip(asked, done, strict=True)
    if e is None
  )
  with pytest.raises(ConnectionRefusedError):
    ask(running, "GET", "/healthz")


def test_limits_are_positive():
  with pytest.raises(ValueError, match="timeout"):
    Limits(timeout=0)
