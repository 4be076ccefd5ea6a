"""Small data sets in their upstream formats, one or more for each reader.

They are those of the readers' own tests, whose modules are loaded by path, so
that a format is written down once.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import importlib.util
import pathlib
import tarfile
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests" / "datasets"


@functools.cache
def tests(name: str) -> types.ModuleType:
  """A module of tests/datasets."""
  spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
  assert spec is not None and spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


@dataclasses.dataclass(frozen=True)
class SmallSet:
  """A small valid data set.

  Attributes:
    label: what it is called in the table.
    reader: name in the registry.
    write: fills an empty folder.
    options: of the reader.
    member: path given to the reader, relative to the folder.
    archive: whether the reader also takes it as a tar archive.
  """

  label: str
  reader: str
  write: Callable[[pathlib.Path], Any]
  options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  member: str = ""
  archive: bool = False


def write_files(folder: pathlib.Path, files: Mapping[str, str | bytes]) -> None:
  """Writes contents by relative path; text as UTF-8."""
  for name, content in files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(data)


def pack(folder: pathlib.Path, path: pathlib.Path) -> None:
  """Packs a folder as a tar archive, compressed as the name says."""
  suffix = path.suffix.removeprefix(".")
  mode = {"xz": "w:xz", "gz": "w:gz", "bz2": "w:bz2", "tar": "w"}[suffix]
  with tarfile.open(path, mode) as archive:  # pyright: ignore
    for member in sorted(folder.rglob("*")):
      if member.is_file():
        archive.add(member, member.relative_to(folder).as_posix())


def _draw(path: pathlib.Path, width: int, height: int) -> None:
  tests("conftest").write_picture(path, width, height)


def _iam(folder: pathlib.Path) -> None:
  tests("iam_test").write_iam(folder, _draw)
  write_files(folder, {"splits/validation.uttlist": ""})


def _imgur5k(folder: pathlib.Path) -> None:
  tests("imgur5k_test").write_imgur(folder)
  write_files(folder, {"dataset_info/test_index_ids.lst": ""})


def _hiertext(folder: pathlib.Path) -> None:
  module = tests("hiertext_test")
  module.write_hiertext(folder, _draw)
  for split in ("train", "test"):
    empty = gzip.compress(b'{"annotations": []}')
    write_files(folder, {f"gt/{split}.jsonl.gz": empty})


def _rimes_words(folder: pathlib.Path) -> None:
  names = {
    "groundtruth_training": "training_WR",
    "ground_truth_validation": "testdataset_ICDAR",
    "grount_truth_test": "data_test",
  }
  for name, part in names.items():
    _draw(folder / part / "lot_1" / "a_1.tiff", 30, 12)
    write_files(folder, {f"{name}_icdar2011.txt": "lot_1/a_1.tiff été\n"})


def _page_xml(folder: pathlib.Path) -> None:
  tests("page_xml_test").write_export(folder, _draw)


def _alto(folder: pathlib.Path) -> None:
  _draw(folder / "scan.png", 200, 100)
  write_files(folder, {"scan.xml": tests("page_xml_test").alto()})


def _image_folder(folder: pathlib.Path) -> None:
  _draw(folder / "a.png", 20, 10)
  _draw(folder / "b.png", 20, 10)
  rows = 'image,text,writer\na.png,"one, two",w1\nb.png,three,w2\n'
  write_files(folder, {"labels.csv": rows})


def _beside(folder: pathlib.Path) -> None:
  _draw(folder / "a.jpg", 20, 10)
  write_files(folder, {"a.txt": "eins ß\n"})


def _icdar2015(folder: pathlib.Path) -> None:
  _draw(folder / "images" / "p1.jpg", 100, 60)
  rows = "image,x0,y0,x1,y1,text\nimages/p1.jpg,5,10,40,25,born 1832\n"
  write_files(folder, {"lines.csv": rows})


def _aihub_csv(folder: pathlib.Path) -> None:
  _draw(folder / "external" / "0123456789abcdef.jpg", 20, 20)
  rows = "img_path,text\n./external/0123456789abcdef.jpg,007\n"
  write_files(folder, {"external.csv": rows})


def _unipen(folder: pathlib.Path) -> None:
  write_files(folder, tests("conftest").UNIPEN_FILES)


def _omniglot(folder: pathlib.Path) -> None:
  module = tests("omniglot_test")
  name = "Greek/character01/0001_01"
  module.write_zip(
    folder / "strokes_background_small1.zip",
    {f"strokes/{name}.txt": module.DRAWING},
  )
  picture = folder / "picture.png"
  _draw(picture, 105, 105)
  module.write_zip(
    folder / "images_background_small1.zip",
    {f"images/{name}.png": picture.read_bytes()},
  )
  picture.unlink()


def _iam_ondb(folder: pathlib.Path) -> None:
  files = tests("iam_ondb_test").form("a01-000u", "one row", "& another")
  lists = {
    f"task/{name}.txt": "a01-000u\n" if name == "trainset" else ""
    for name in ("trainset", "testset_v", "testset_t", "testset_f")
  }
  write_files(folder, files | lists | {"forms.txt": "a01-000u 10001\n"})


def _deepwriting(folder: pathlib.Path) -> None:
  np.savez(
    folder / "deepwriting_training.npz",
    **tests("deepwriting_test").arrays(subjects=(7, 8)),
  )


def _inksight(folder: pathlib.Path) -> None:
  write_files(folder, tests("inksight_inks_test").FILES)
  _draw(folder / "IAM" / "images_sample" / "png-00.png", 100, 50)


def _scut_couch(folder: pathlib.Path) -> None:
  module = tests("scut_couch_test")
  files = {"GB1/GB1_001.idx": module.INDEX, "GB1/GB1_001.dat": module.DATA}
  write_files(folder, files)


def _vnondb(folder: pathlib.Path) -> None:
  module = tests("vnondb_test")
  names = ("train", "validation", "test")
  files = {f"InkData_line/{name}.inkml": module.LINE for name in names}
  lists = {f"{module.LISTS}{name}_set.txt": f"{name}.inkml\n" for name in names}
  write_files(folder, files | lists)


def _inkml_folder(folder: pathlib.Path) -> None:
  module = tests("inkml_folder_test")
  files = {
    "a/one.inkml": module.write_inkml(module.INK),
    "a/one.txt": "beside\n",
    "a/two.inkml": module.write_inkml(module.INK, {"textField": "inside"}),
  }
  write_files(folder, files)


def _quickdraw(folder: pathlib.Path) -> None:
  module = tests("quickdraw_test")
  rows = module.row() + module.row("2")
  write_files(folder, {"cat.ndjson": rows, "dog.bin": module.BINARY * 2})


def _xournal(folder: pathlib.Path) -> None:
  notes = tests("xournal_test").notes("1 2 3 4", "5 6 7 8")
  packed = gzip.compress(notes.encode())
  write_files(folder, {"me/a.xopp": packed, "me/a.txt": "one\n\ftwo\n"})


def _written_by(
  module: str, function: str, *arguments: Any
) -> Callable[[pathlib.Path], Any]:
  """Calls a test module's `write_...`."""
  return lambda folder: getattr(tests(module), function)(folder, *arguments)


def _one_file(
  name: str, module: str, function: str
) -> Callable[[pathlib.Path], None]:
  """Writes one file that a test module's function returns."""
  return lambda folder: write_files(
    folder, {name: getattr(tests(module), function)()}
  )


SETS: tuple[SmallSet, ...] = (
  SmallSet("iam lines", "iam", _iam),
  SmallSet("iam words", "iam", _iam, {"level": "word"}),
  SmallSet("iam forms", "iam", _iam, {"level": "form"}),
  SmallSet("imgur5k", "imgur5k", _imgur5k),
  SmallSet("hiertext", "hiertext", _hiertext),
  SmallSet("gnhk", "gnhk", _written_by("gnhk_test", "write_gnhk", _draw)),
  SmallSet("rimes", "rimes", _written_by("rimes_test", "write_rimes", _draw)),
  SmallSet("rimes words", "rimes", _rimes_words, {"level": "word"}),
  SmallSet(
    "mnist",
    "mnist",
    _written_by("mnist_test", "write_mnist"),
    {"validation_count": 2},
  ),
  SmallSet("aihub", "aihub", _written_by("aihub_test", "write_aihub", _draw)),
  SmallSet("aihub csv", "aihub", _aihub_csv, member="external.csv"),
  SmallSet("icdar2015_historical", "icdar2015_historical", _icdar2015),
  SmallSet("image_folder", "image_folder", _image_folder),
  SmallSet("image_folder texts", "image_folder", _beside),
  SmallSet("page_xml", "page_xml", _page_xml),
  SmallSet("page_xml pages", "page_xml", _page_xml, {"level": "page"}),
  SmallSet("alto", "alto", _alto),
  SmallSet(
    "unipen", "unipen", _unipen, {"categories": ("1a", "7")}, archive=True
  ),
  SmallSet("omniglot", "omniglot", _omniglot, {"images": True}),
  SmallSet("deepwriting", "deepwriting", _deepwriting),
  SmallSet("vnondb", "vnondb", _vnondb, archive=True),
  SmallSet("scut_couch", "scut_couch", _scut_couch, archive=True),
  SmallSet("iam_ondb", "iam_ondb", _iam_ondb, archive=True),
  SmallSet(
    "crohme",
    "crohme",
    _one_file("CROHME_training/f1.inkml", "crohme_test", "expression"),
    archive=True,
  ),
  SmallSet(
    "mathwriting",
    "mathwriting",
    _one_file("train/0123456789abcdef.inkml", "mathwriting_test", "expression"),
    archive=True,
  ),
  SmallSet("quickdraw", "quickdraw", _quickdraw),
  SmallSet(
    "uji",
    "uji",
    lambda folder: write_files(
      folder, {"ujipenchars2.txt": tests("uji_test").SAMPLES}
    ),
  ),
  SmallSet("inksight_inks", "inksight_inks", _inksight),
  SmallSet("xournal", "xournal", _xournal, archive=True),
  SmallSet("inkml_folder", "inkml_folder", _inkml_folder, archive=True),
)
