"""Arrays of objects from .npz files, and pickles that want more."""

import io
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from inksight_jax.datasets.npz import read_npz


def objects(items: list) -> np.ndarray:
  array = np.empty(len(items), object)
  array[:] = items
  return array


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_reads_what_numpy_writes(save, tmp_path: pathlib.Path):
  arrays = {
    "ragged": objects([np.ones((2, 3), np.float32), np.arange(4)]),
    "texts": objects(["hi you", "\xe9"]),
    "mixed": objects([np.int64(7), np.str_("a"), None]),
    "alphabet": np.array(["\0", "a", "'"]),
    "plain": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "empty": objects([]),
  }
  path = tmp_path / "a.npz"
  save(path, **arrays)
  found = read_npz(path)
  assert found.keys() == arrays.keys()
  for name, array in arrays.items():
    assert type(found[name]) is np.ndarray
    assert found[name].dtype == array.dtype
    for one, other in zip(found[name], array, strict=True):
      np.testing.assert_array_equal(one, other)


def npy(data: bytes, shape: str = "(1,)", dtype: str = "|O") -> bytes:
  header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"
  text = (header + "\n").encode()
  return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def archive(path: pathlib.Path, content: bytes) -> pathlib.Path:
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
    file.writestr("samples.npy", content)
  return path


class Command:
  """Runs a command where it is unpickled without care."""

  def __init__(self, target: pathlib.Path) -> None:
    self.target = target

  def __reduce__(self):
    return os.system, (f"touch {self.target}",)


def test_a_pickle_runs_nothing(tmp_path: pathlib.Path):
  target = tmp_path / "ran"
  pickle.loads(pickle.dumps(Command(target)))
  assert target.exists()  # so would np.load have done
  target.unlink()
  path = tmp_path / "a.npz"
  np.savez(path, samples=objects([Command(target)]))
  with pytest.raises(ValueError, match=r"a\.npz: samples\.npy .*asks for"):
    read_npz(path)
  assert not target.exists()


def state(shape: tuple, content) -> bytes:
  """A pickled array that claims a shape."""
  array = np.zeros(1, object)
  stream = io.BytesIO()
  pickler = pickle.Pickler(stream, 4)
  reconstruct, arguments, _ = array.__reduce__()
  claim = (1, shape, array.dtype, False, content)

  class Claim:
    def __reduce__(self):
      return reconstruct, arguments, claim

  pickler.dump(Claim())
  return stream.getvalue()


@pytest.mark.parametrize(
  "content",
  [
    b"",
    b"nonsense",
    npy(b""),
    npy(b"\0" * 50),
    npy(b"\x80\x04]\x94."),
    npy(b"", "(999999999,)", "<f8"),
    npy(b"", "(-3,)", "<f8"),
    npy(state((999_999_999,), [1])),
    npy(state((1,), [1]), "(999999999,)"),
    npy(b"\x80\x04\x8e" + (2**40).to_bytes(8, "little")),  # 1 TB of bytes
    npy(pickle.dumps(np.zeros(3)), "(1,)"),
    npy(b"cnumpy\nndarray\n(I999999999\ntR."),
    npy(b"(" * 1_000_000 + b"."),
  ],
)
def test_hostile_arrays_are_refused(content, tmp_path: pathlib.Path, limits):
  path = archive(tmp_path / "a.npz", content)
  with (
    limits(),
    pytest.raises(ValueError, match=r"samples\.npy cannot be read"),
  ):
    read_npz(path)


def test_hostile_archives_are_refused(tmp_path: pathlib.Path, limits):
  path = archive(tmp_path / "bomb.npz", npy(bytes(100 * 2**20), "(1,)", "<f8"))
  with limits(), pytest.raises(ValueError, match="bytes would unpack to"):
    read_npz(path)
  path.write_bytes(path.read_bytes()[:-30])
  with pytest.raises(ValueError, match=r"bomb\.npz: the archive cannot be"):
    read_npz(path)
  with pytest.raises(ValueError, match="no such file"):
    read_npz(tmp_path / "none.npz")
