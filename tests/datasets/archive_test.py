"""Archives: links, odd paths and absurd sizes."""

import io
import pathlib
import tarfile

import pytest

from inksight_jax.datasets import archive
from inksight_jax.datasets.archive import read_files


def test_keeps_wanted_regular_files_only(tmp_path: pathlib.Path):
  path = tmp_path / "a.tar"
  with tarfile.open(path, "w") as tar:
    for name in ("./data/a.dat", "data/b.txt", "/data/c.dat"):
      info = tarfile.TarInfo(name)
      info.size = 3
      tar.addfile(info, io.BytesIO(b"abc"))
    link = tarfile.TarInfo("data/link.dat")
    link.type = tarfile.SYMTYPE
    link.linkname = "/etc/passwd"
    tar.addfile(link)
  files = read_files(path, lambda name: name.endswith(".dat"))
  assert dict(files) == {"data/a.dat": b"abc", "data/c.dat": b"abc"}


def test_absurd_sizes_are_refused(
  tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
):
  path = tmp_path / "bomb.tar.xz"
  with tarfile.open(path, "w:xz") as tar:
    info = tarfile.TarInfo("zeros.dat")
    info.size = 10_000
    tar.addfile(info, io.BytesIO(bytes(10_000)))
  monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 9_999)
  with pytest.raises(ValueError, match=r"zeros\.dat would take 10000 bytes"):
    read_files(path, lambda name: True)


def test_something_else_is_no_archive(tmp_path: pathlib.Path):
  path = tmp_path / "word.jpg"
  path.write_bytes(b"\xff\xd8\xff" + bytes(2000))
  with pytest.raises(ValueError, match=r"word\.jpg: not a complete tar"):
    read_files(path, lambda name: True)


def test_a_folder_refuses_the_same_sizes(tmp_path: pathlib.Path):
  with (tmp_path / "sparse.dat").open("wb") as file:
    file.truncate(2**40)
  files = read_files(tmp_path, lambda name: True, max_bytes=100)
  with pytest.raises(ValueError, match=r"sparse\.dat holds 1099511627776"):
    files["sparse.dat"]
