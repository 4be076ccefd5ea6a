"""A UNIPEN set of a few letters, with the defects of the real one."""

import contextlib
import io
import pathlib
import struct
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

# An upside-down T in file coordinates (y up): bar at y = 20, stem below it.
T_SHAPE = """.PEN_DOWN
0 20
20 20
.PEN_UP
.PEN_DOWN
10 20
10 10
10 0
.PEN_UP
"""
UNIPEN_FILES = {
  "include/aa/aa.doc": """.COORD X Y
.X_POINTS_PER_MM 20
.Y_POINTS_PER_MM 40
.POINTS_PER_SECOND 100
""",
  "include/aa/data/w1.dat": ".WRITER_ID w1\n"
  + T_SHAPE
  + ".PEN_DOWN\n0 0\n.PEN_UP\n.DT 50\n.PEN_DOWN\n1 1\n2 2\n.PEN_UP\n",
  "data/1a/aa/w1.dat": """.VERSION 1.0
.INCLUDE aa/aa.doc
.INCLUDE aa/data/w1.dat
.SEGMENT CHARACTER 0-1 OK "7"
.SEGMENT CHARACTER 0 ? "x"
.SEGMENT CHARACTER 1 ? ""
.SEGMENT CHARACTER 0-9 ? "1"
.SEGMENT CHARACTER 2 ? "2"
.SEGMENT CHARACTER 0 BAD "3"
.SEGMENT CHARACTER ? ? "4"
.SEGMENT CHARACTER 1,3 ? "5"
""",
  "data/1a/aa/w2.dat": """.INCLUDE aa/gone.dat
.SEGMENT CHARACTER 0 ? "6"
""",
  "data/1a/aa/w3.dat": """.INCLUDE ../../../etc/passwd
.COORD X Y T
.PEN_DOWN
0 0 5
0 x 6
.PEN_UP
.PEN_DOWN
3 3 100
4 4 120
.SEGMENT CHARACTER 0 ? "8"
.SEGMENT CHARACTER 1 ? "9"
""",
  "data/6/aa/w1.dat": """.INCLUDE aa/aa.doc
.INCLUDE aa/data/w1.dat
.SEGMENT WORD 0-1 ? "to"
""",
  "data/7/aa/w1.dat": """.INCLUDE aa/aa.doc
.INCLUDE aa/data/w1.dat
.SEGMENT WORD 0-1 ? "to"
.SEGMENT WORD 1 ? "million"
.SEGMENT WORD 3 ? "at"
""",
}


@pytest.fixture
def unipen_files() -> dict[str, str]:
  """Path to text; change it before packing."""
  return dict(UNIPEN_FILES)


@pytest.fixture
def pack(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
  """Packs path -> text into an archive."""

  def build(
    files: dict[str, str], name: str = "unipen.tar.xz", prefix: str = ""
  ) -> pathlib.Path:
    path = tmp_path / name
    mode = {".xz": "w:xz", ".gz": "w:gz", ".tgz": "w:gz", ".tar": "w"}[
      path.suffix
    ]
    with tarfile.open(path, mode) as archive:
      for member, text in files.items():
        info = tarfile.TarInfo(prefix + member)
        data = text.encode("latin-1")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return path

  return build


@pytest.fixture(scope="session")
def unipen_archive(shared_data: pathlib.Path) -> pathlib.Path:
  """The real subset; skips where it is absent."""
  path = shared_data / "unipen" / "unipen_train_r01_v07_subset.tar.xz"
  if not path.is_file():
    pytest.skip("no real data: ../shared/data/unipen is absent")
  return path


def write_picture(path: pathlib.Path, width: int, height: int) -> np.ndarray:
  """Writes a picture whose pixel (x, y) is (x, y, 100); returns it as RGB."""
  path.parent.mkdir(parents=True, exist_ok=True)
  picture = np.full((height, width, 3), 100, np.uint8)
  picture[:, :, 0] = np.arange(width) % 256
  picture[:, :, 1] = np.arange(height)[:, None] % 256
  assert cv2.imwrite(str(path), picture[:, :, ::-1])
  return picture


@pytest.fixture
def draw() -> Callable[..., np.ndarray]:
  """Writes a picture, see `write_picture`."""
  return write_picture


def declared_png(width: int, height: int) -> bytes:
  """A PNG that declares a size and has no pixels."""
  header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
  chunks = [header, b"IDAT" + zlib.compress(b""), b"IEND"]
  return b"\x89PNG\r\n\x1a\n" + b"".join(
    struct.pack(">I", len(chunk) - 4)
    + chunk
    + struct.pack(">I", zlib.crc32(chunk))
    for chunk in chunks
  )


@pytest.fixture
def huge_png() -> bytes:
  """A PNG that declares 50,000 x 50,000 pixels and has none."""
  return declared_png(50_000, 50_000)


def _status(key: str) -> int:
  """A memory figure of this process, bytes."""
  for line in pathlib.Path("/proc/self/status").read_text().splitlines():
    if line.startswith(key):
      return int(line.split()[1]) * 1024
  raise KeyError(key)


@pytest.fixture
def limits() -> Callable[[], contextlib.AbstractContextManager[None]]:
  """A block that may take 5 s of processor time and 200 MB."""

  @contextlib.contextmanager
  def block() -> Iterator[None]:
    resettable = pathlib.Path("/proc/self/clear_refs")
    with contextlib.suppress(OSError):
      resettable.write_text("5")  # the peak counts from here
    before = _status("VmRSS") if resettable.exists() else 0
    # Of this process: a busy machine is not the reader's fault.
    start = time.process_time()
    yield
    assert time.process_time() - start < 5
    if resettable.exists():
      assert _status("VmHWM") - before < 200e6

  return block


@pytest.fixture
def write_files(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
  """Writes path -> text or bytes below a fresh folder; returns the folder."""

  def write(files: dict[str, str | bytes], name: str = "set") -> pathlib.Path:
    for relative, content in files.items():
      path = tmp_path / name / relative
      path.parent.mkdir(parents=True, exist_ok=True)
      if isinstance(content, str):
        content = content.encode()
      path.write_bytes(content)
    return tmp_path / name

  return write


def damaged_xml(good: str) -> dict[str, bytes]:
  """Damages a good document in the ways in which strangers do."""
  rest = good.partition("<")[2]
  name = rest.split(">")[0].split()[0]
  levels = "".join(
    f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
  )
  bomb = f'<!DOCTYPE {name} [<!ENTITY e0 "1 2,">{levels}]>'
  start, end = good[: good.index(">") + 1], good[good.rindex("</") :]
  return {
    "truncated": good.encode()[: len(good) // 2],
    "empty": b"",
    "binary": bytes(range(256)) * 4000,
    "bomb": f"{bomb}{start}&e11;{end}".encode(),
    "external": (
      f'<!DOCTYPE {name} [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
      f"{start}&x;{end}"
    ).encode(),
    "encoding": start.encode() + "caf\xe9".encode("latin-1") + end.encode(),
    "deep": (start + "<g>" * 100_000 + "</g>" * 100_000 + end).encode(),
    "flood": (start + "<g/>" * 2_000_000 + end).encode(),
  }


@pytest.fixture
def hostile_xml() -> Callable[[str], dict[str, bytes]]:
  """Damages a document, see `damaged_xml`."""
  return damaged_xml
