"""The UNIPEN reader on a small set with every defect, and on the real one."""

import contextlib
import itertools
import pathlib
import tarfile
from collections.abc import Callable

import numpy as np
import pytest

from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.unipen import read_unipen, writer_of

Pack = Callable[..., pathlib.Path]
Files = dict[str, str]
REAL_DONORS = ("aga", "art", "ibm", "lav", "lou", "pri", "tos")
# Lines `.SEGMENT` in their index files of lower-case letters, by grep.
REAL_SEGMENTS = 10_638


def read(path: pathlib.Path, *categories: str, **options):
  report = SkipReport()
  records = list(read_unipen(path, categories or ("1a",), report, **options))
  return records, report


def test_scales_each_axis_flips_y_and_times_strokes(
  pack: Pack, unipen_files: Files
):
  """20 and 40 units per mm become 10 pixels per mm, the bar of the T on top."""
  records, _ = read(pack(unipen_files))
  seven = records[0]
  assert (seven.id, seven.text) == ("1a/aa/w1:0", "7")
  assert (seven.source, seven.writer) == ("unipen", "aa/w1")
  bar, stem = seven.ink.strokes
  np.testing.assert_allclose(bar.points, [[0, 0], [10, 0]])
  np.testing.assert_allclose(stem.points, [[5, 0], [5, 2.5], [5, 5]])
  np.testing.assert_allclose(bar.times, [0, 10])
  np.testing.assert_allclose(stem.times, [20, 30, 40])


def test_delay_moves_the_clock(pack: Pack, unipen_files: Files):
  """Stem of three samples at 10 ms, then .DT 50."""
  records, _ = read(pack(unipen_files))
  five = next(r for r in records if r.text == "5")
  assert five.ink.strokes[1].times[0] == 30 + 50


def test_y_down_donor_is_not_flipped(pack: Pack, unipen_files: Files):
  path = pack(unipen_files)
  up = read(path)[0][0].ink
  down = read(path, y_down_donors=("aa",))[0][0].ink
  _, top, _, bottom = up.bounds
  np.testing.assert_allclose(
    down.points, up.points * [1, -1] + [0, top + bottom]
  )


def test_every_defect_is_counted_and_located(pack: Pack, unipen_files: Files):
  records, report = read(pack(unipen_files))
  assert [r.text for r in records] == ["7", "5", "9"]
  assert report.counts == {
    "label outside category 1a": 1,
    "empty label": 1,
    "wrong delineation": 2,
    "ink withheld by the foundation": 1,
    "quality BAD": 1,
    ".INCLUDE of a missing file": 1,
    "file without ink": 1,
    ".INCLUDE refused": 1,
    "unreadable points": 1,
  }
  assert "aa/gone.dat" in report.examples[".INCLUDE of a missing file"][0]
  assert "../../../etc/passwd" in report.examples[".INCLUDE refused"][0]
  assert report.examples["quality BAD"] == ["data/1a/aa/w1.dat:9"]
  assert "data/1a/aa/w3.dat:3" in report.examples["unreadable points"][0]
  assert report.total == 10


def test_time_column_in_milliseconds(pack: Pack, unipen_files: Files):
  records, _ = read(pack(unipen_files))
  nine = records[-1]
  assert nine.text == "9"
  np.testing.assert_array_equal(nine.ink.strokes[0].times, [0, 20])


@pytest.mark.parametrize("rate", ["9600", "10", "0", "?"])
def test_implausible_rate_means_no_time(
  pack: Pack, unipen_files: Files, rate: str
):
  document = unipen_files["include/aa/aa.doc"]
  unipen_files["include/aa/aa.doc"] = document.replace("100", rate)
  records, _ = read(pack(unipen_files))
  assert not records[0].ink.has_times


def test_broken_delay_is_ignored(pack: Pack, unipen_files: Files):
  name = "include/aa/data/w1.dat"
  unipen_files[name] = unipen_files[name].replace("DT 50", "DT 1935897193")
  records, _ = read(pack(unipen_files))
  five = next(r for r in records if r.text == "5")
  assert five.ink.strokes[1].times[0] == 30


def test_overlapping_categories_give_a_sample_once(
  pack: Pack, unipen_files: Files
):
  path = pack(unipen_files)
  records, report = read(path, "6", "7")
  assert [r.id for r in records] == ["6/aa/w1:0", "7/aa/w1:2"]
  assert report.counts["already read in an earlier category"] == 1
  # A single downstroke cannot say "million".
  assert report.counts["ink too narrow for its label"] == 1
  assert [r.text for r in read(path, "7")[0]] == ["to", "at"]


def test_archives_and_folder_agree(
  pack: Pack, unipen_files: Files, tmp_path: pathlib.Path
):
  """xz, gz under the CD-ROM's prefix, and unpacked, in the same order."""
  folder = tmp_path / "unpacked"
  for name, text in unipen_files.items():
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="latin-1")
  sources = [
    pack(unipen_files),
    pack(
      dict(reversed(unipen_files.items())),
      "unipen.tgz",
      "CDROM/train_r01_v07/",
    ),
    folder,
  ]
  first, *others = [
    [(r.id, r.text, r.writer, r.ink.points.tolist()) for r in read(s)[0]]
    for s in sources
  ]
  assert first and all(other == first for other in others)


def test_a_link_out_of_the_folder_is_not_followed(
  unipen_files: Files, tmp_path: pathlib.Path
):
  secret = tmp_path / "secret.dat"
  secret.write_text(unipen_files["include/aa/data/w1.dat"])
  index = tmp_path / "set/data/1a/aa/w1.dat"
  index.parent.mkdir(parents=True)
  index.write_text(unipen_files["data/1a/aa/w1.dat"])
  link = tmp_path / "set/include/aa/data/w1.dat"
  link.parent.mkdir(parents=True)
  link.symlink_to(secret)
  records, report = read(tmp_path / "set")
  assert not records
  missing = report.examples[".INCLUDE of a missing file"]
  assert any("aa/data/w1.dat" in example for example in missing)


def test_keep_reads_only_the_writers_asked_for(pack: Pack, unipen_files: Files):
  records, report = read(
    pack(unipen_files), keep=lambda writer: writer == "aa/w3"
  )
  assert [r.writer for r in records] == ["aa/w3"]
  assert "empty label" not in report.counts


@pytest.mark.parametrize(
  ("name", "kept"),
  [
    *itertools.product(
      ("unipen.tar.xz", "unipen.tar.gz"), (0.0, 0.3, 0.5, 0.7, 0.95)
    ),
    # The last quarter of so small a plain archive is padding.
    *itertools.product(("unipen.tar",), (0.0, 0.3, 0.5, 0.7)),
  ],
)
def test_truncated_archive_is_one_clear_error(
  pack: Pack, unipen_files: Files, name: str, kept: float
):
  path = pack(unipen_files, name)
  data = path.read_bytes()
  path.write_bytes(data[: int(len(data) * kept)])
  with pytest.raises(ValueError, match="not a complete tar archive"):
    read(path)


def test_wrong_sources_say_what_was_wanted(
  pack: Pack, unipen_files: Files, tmp_path: pathlib.Path
):
  with pytest.raises(ValueError, match="no such file or folder"):
    read(tmp_path / "nowhere")
  with pytest.raises(ValueError, match="no index files"):
    read(tmp_path)
  with pytest.raises(ValueError, match=r"\['9z'\].*1a \(digits\)"):
    read(pack(unipen_files), "9z")


def test_ibm_prototypes_are_left_out(pack: Pack):
  """Scaled to begin at (0, 0), unlike what a hand wrote."""
  files = {
    "include/ibm/data/ibm0/r0207.dat": ".WRITER_ID r02-07\n"
    ".PEN_DOWN\n30 40\n35 60\n.PEN_UP\n.PEN_DOWN\n0 6000\n500 0\n.PEN_UP\n",
    "data/1a/ibm/ibm0/r0207.dat": ".INCLUDE ibm/data/ibm0/r0207.dat\n"
    '.SEGMENT CHARACTER 0 ? "1"\n.SEGMENT CHARACTER 1 ? "4"\n',
  }
  records, report = read(pack(files))
  assert [(r.text, r.writer) for r in records] == [("1", "ibm/07")]
  assert report.counts["normalised prototype of ibm0"] == 1


def test_kaist_ligature_marks_are_removed(pack: Pack):
  files = {
    "include/kai/data/kai1/a.dat": ".PEN_DOWN\n0 0\n9 5\n",
    "data/7/kai/kai1/a.dat": ".INCLUDE kai/data/kai1/a.dat\n"
    '.SEGMENT WORD 0 OK "r\\@e\\@e\\@d"\n',
  }
  assert [r.text for r in read(pack(files), "7")[0]] == ["reed"]


@pytest.mark.parametrize(
  ("donor", "one", "other"),
  [
    ("apd", "Chuck_Chaffee_1", "Chuck_Chaffee_2"),
    ("ape", "textWilliamShawSplit", "William_Shaw"),
    ("ibm", "r00-07", "r02-07"),
    ("ibm", "bam11", "bam12"),
    ("lex", "robie1", "robip1"),
    ("syn", "rkt-dig19", "rkt"),
    ("phi", "phi-writer-sh1", "phil-writer-sh1"),
    ("kai", "yklyu", "YKLYU"),
  ],
)
def test_one_writer_under_several_ids(donor: str, one: str, other: str):
  assert writer_of(donor, one) == writer_of(donor, other)


def test_writers_of_apples_five_sets_are_shared():
  assert writer_of("apb", "Jon_Klein") == writer_of("apd", "Jon_Klein")
  assert writer_of("apa", "ArloReeves") != writer_of("apa", "BobStrong")
  assert writer_of("ibm", "r00-07") != writer_of("ibm", "r00-11")
  assert writer_of("lav", "cl_0001") != writer_of("kar", "cl_0001")


@pytest.fixture(scope="module")
def real_letters(
  unipen_archive: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[Record], SkipReport]:
  """The lower-case letters of some donors, unpacked to a folder."""
  folder = tmp_path_factory.mktemp("unipen")
  wanted = tuple(f"data/1c/{d}/" for d in REAL_DONORS) + tuple(
    f"include/{d}/" for d in REAL_DONORS
  )
  with tarfile.open(unipen_archive, "r|*") as archive:
    archive.extractall(
      folder,
      members=(
        m for m in archive if m.name.removeprefix("./").startswith(wanted)
      ),
      filter="data",
    )
  return read(folder, "1c")


def test_real_letters_are_counted_in_full(
  real_letters: tuple[list[Record], SkipReport],
):
  """Every segment of these donors is a record or a counted skip."""
  records, report = real_letters
  assert len(records) + report.total == REAL_SEGMENTS
  assert report.counts == {"normalised prototype of ibm0": 1_054}
  assert len({r.id for r in records}) == len(records)
  assert {r.text for r in records} == set("abcdefghijklmnopqrstuvwxyz")


def test_real_letters_stand_upright_and_whole(
  real_letters: tuple[list[Record], SkipReport],
):
  """The dot of i and j is the second stroke and lies above the first.

  Were y up, or the components counted otherwise, it would lie below or be the
  stem of a neighbour.
  """
  above: dict[str, list[bool]] = {}
  for record in real_letters[0]:
    strokes = record.ink.strokes
    if record.text in "ij" and len(strokes) == 2:
      body, dot = sorted(strokes, key=lambda stroke: -stroke.length)
      donor = record.id.split("/")[1]
      above.setdefault(donor, []).append(
        dot.points[:, 1].mean() < body.points[:, 1].mean()
      )
  assert len(above) >= 6
  assert all(np.mean(values) > 0.9 for values in above.values()), above


def test_hostile_archives_and_files(
  pack: Pack,
  unipen_files: Files,
  tmp_path: pathlib.Path,
  limits: Callable[[], contextlib.AbstractContextManager[None]],
):
  """Bombs, floods, loops: one error or counted skips, quickly."""
  bomb = tmp_path / "bomb.tar.xz"
  with tarfile.open(bomb, "w:xz", preset=0) as tar:
    info = tarfile.TarInfo("include/aa/zeros.dat")
    info.size = 130 * 2**20
    with open("/dev/zero", "rb") as zeros:
      tar.addfile(info, zeros)
  with limits(), pytest.raises(ValueError, match="would take 136314880 bytes"):
    read(bomb)
  index = unipen_files["data/1a/aa/w1.dat"]
  for name, text, reason in (
    (
      "data/1a/aa/w1.dat",
      index + '.SEGMENT CHARACTER 0-999999999 ? "6"\n',
      "wrong delineation",
    ),
    ("include/aa/aa.doc", ".INCLUDE aa/aa.doc\n", "unreadable file"),
    ("data/1a/aa/w3.dat", "\xff\0" * 100_000, ".INCLUDE of a missing file"),
  ):
    path = pack({**unipen_files, name: text}, "hostile.tar")
    with limits():
      _, report = read(path)
    assert any(reason in known for known in report.counts), report.table()
