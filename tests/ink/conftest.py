"""Pages to write, and programs of others to open what was written."""

import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from inksight_jax.ink.page import Page, Picture, Word
from inksight_jax.ink.types import Ink

WIDTH, HEIGHT = 600, 200
TEXTS = (("hello", "wörld"), ("漢字", "नमस्ते", "a < b"))


def wave(left: float, top: float) -> Ink:
  """Three waves of 100 x 50 px and a dot above them."""
  x = np.linspace(0, 100, 80)
  points = np.stack([left + x, top + 25 * (1 - np.cos(x * 0.06 * np.pi))], 1)
  return Ink.from_arrays([points.tolist(), [[left + 50, top - 12]]])


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
  """White paper with the written lines in grey, uint8[200, 600, 3]."""
  image = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
  for row, line in enumerate(TEXTS):
    for column in range(len(line)):
      for stroke in wave(50 + 180 * column, 30 + 90 * row).strokes:
        points = np.rint(stroke.points).astype(np.int32)
        cv2.polylines(image, [points], False, (120, 120, 120), 4)
  return image


@pytest.fixture(scope="session")
def page(photo: np.ndarray) -> Page:
  """Two lines of words in several scripts, without a picture."""
  lines = []
  for row, line in enumerate(TEXTS):
    words = []
    for column, text in enumerate(line):
      left, top = 50.0 + 180 * column, 30.0 + 90 * row
      words.append(
        Word(
          (left - 5, top - 15, left + 105, top + 55),
          text,
          wave(left, top),
          0.8,
          tuple(0.9 for _ in text),
        )
      )
    lines.append(tuple(words))
  return Page(WIDTH, HEIGHT, tuple(lines), 4.0, None, "page.jpg")


@pytest.fixture(scope="session")
def pictures(photo: np.ndarray) -> dict[str, Picture]:
  """The photo as "jpeg" and "png"."""
  return {
    kind: Picture(
      cv2.imencode(f".{kind}", photo)[1].tobytes(),
      f"image/{kind}",
      WIDTH,
      HEIGHT,
    )
    for kind in ("jpeg", "png")
  }


def find_program(name: str) -> str:
  """Path of a program; skips the test where it is not installed."""
  path = shutil.which(name)
  if path is None:
    pytest.skip(f"{name} is not installed")
  return path


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
  """Finds programs by name, or skips."""
  return find_program


# The browser reads descriptor 3 and writes 4. What the pipes have here may be 3
# or 4 themselves, so both are copied first.
_LAUNCH = """
import fcntl, os, sys
reads, writes = (
  fcntl.fcntl(int(word), fcntl.F_DUPFD, 10) for word in sys.argv[1:3]
)
os.dup2(reads, 3)
os.dup2(writes, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
  """A headless Chromium with one tab, spoken to over a pair of pipes.

  The DevTools protocol (chromedevtools.github.io/devtools-protocol): JSON
  messages, a zero byte after each.
  """

  def __init__(self, path: str, folder: pathlib.Path) -> None:
    ours_in, theirs_out = os.pipe()
    theirs_in, ours_out = os.pipe()
    self._in, self._out = ours_in, ours_out
    self._ids = itertools.count(1)
    self._rest = b""
    flags = (
      "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
      "--disable-background-networking --disable-component-update "
      "--disable-sync --hide-scrollbars --remote-debugging-pipe"
    )
    words = [
      *(sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), path),
      *flags.split(),
      f"--user-data-dir={folder / 'profile'}",
      "about:blank",
    ]
    with open(folder / "log", "wb") as log:
      self.process = subprocess.Popen(
        words, pass_fds=(theirs_in, theirs_out), stdout=log, stderr=log
      )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
      self._session = self._attach()
    except BaseException:
      self.close()
      raise

  def _attach(self) -> str:
    tabs = self._call("Target.getTargets")["targetInfos"]
    target = next(tab["targetId"] for tab in tabs if tab["type"] == "page")
    attached = self._call(
      "Target.attachToTarget", targetId=target, flatten=True
    )
    return attached["sessionId"]

  def _call(self, method: str, session: str = "", **params: Any) -> Any:
    identity = next(self._ids)
    message = {"id": identity, "method": method, "params": params}
    if session:
      message["sessionId"] = session
    os.write(self._out, json.dumps(message).encode() + b"\0")
    end = time.monotonic() + 30
    while True:
      while b"\0" not in self._rest:
        left = max(0.0, end - time.monotonic())
        ready, _, _ = select.select([self._in], [], [], left)
        assert ready, f"Chromium does not answer {method}"
        data = os.read(self._in, 1 << 20)
        assert data, f"Chromium ended before it answered {method}"
        self._rest += data
      line, _, self._rest = self._rest.partition(b"\0")
      answer = json.loads(line)
      if answer.get("id") == identity:
        assert "error" not in answer, answer
        return answer["result"]

  def call(self, method: str, **params: Any) -> Any:
    """A command to the tab."""
    return self._call(method, self._session, **params)

  def open(
    self, path: pathlib.Path, width: int = 1200, height: int = 760, **media: str
  ) -> None:
    """Loads a file; `media` are features such as prefers_color_scheme."""
    self.call(
      "Emulation.setDeviceMetricsOverride",
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=False,
    )
    features = [
      {"name": name.replace("_", "-"), "value": value}
      for name, value in media.items()
    ]
    self.call("Emulation.setEmulatedMedia", features=features)
    self.call("Page.navigate", url=path.as_uri())
    self.wait("document.readyState === 'complete' && location.protocol")

  def evaluate(self, script: str) -> Any:
    """Value of an expression in the page."""
    answer = self.call(
      "Runtime.evaluate", expression=script, returnByValue=True
    )
    assert "exceptionDetails" not in answer, answer
    return answer["result"].get("value")

  def wait(self, script: str, seconds: float = 10) -> None:
    """Waits until an expression is true."""
    end = time.monotonic() + seconds
    while not self.evaluate(script):
      assert time.monotonic() < end, f"never came true: {script}"
      time.sleep(0.02)

  def press(self, key: str) -> None:
    """Presses and releases a key."""
    text = {"text": " "} if key == " " else {}
    for kind in ("keyDown", "keyUp"):
      self.call("Input.dispatchKeyEvent", type=kind, key=key, **text)

  def screenshot(self, path: pathlib.Path) -> np.ndarray:
    """Writes a PNG and returns uint8[height, width, 3] RGB."""
    data = self.call("Page.captureScreenshot", format="png")["data"]
    path.write_bytes(base64.b64decode(data))
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)

  def close(self) -> None:
    """Ends the program."""
    self.process.terminate()
    self.process.wait(20)
    os.close(self._in)
    os.close(self._out)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
  """One Chromium for the session; skips where it is not installed."""
  opened = Browser(
    find_program("chromium"), tmp_path_factory.mktemp("chromium")
  )
  yield opened
  opened.close()
