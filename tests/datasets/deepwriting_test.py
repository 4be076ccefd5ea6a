"""DeepWriting: sorted labels, offsets, pen lifts, texts of whole lines."""

import string

import numpy as np
import pytest

from inksight_jax.datasets.deepwriting import characters, read_deepwriting
from inksight_jax.datasets.skipped import SkipReport

# As the files store it; the labels count in another, sorted, order.
STORED = [
  "\0",
  *string.digits,
  *string.ascii_lowercase,
  *string.ascii_uppercase,
  *"'.,-()/",
]
MEAN, STD = np.array([0.01, -0.02, 0.1]), np.array([0.2, 0.3, 1.0])
LOW, HIGH = np.array([10.0, 20.0]), np.array([1010.0, 420.0])


def label(character: str) -> int:
  """What scikit-learn's LabelEncoder makes of the alphabet."""
  return int(np.searchsorted(np.unique(np.array(STORED)), character))


def objects(items: list) -> np.ndarray:
  array = np.empty(len(items), object)
  array[:] = items
  return array


def positions(points: int) -> np.ndarray:
  """A zigzag in device units that begins at the scale's origin."""
  steps = np.arange(points, dtype=np.float64)
  return np.stack([LOW[0] + 10 * steps, LOW[1] + 40 * (steps % 2)], 1)


def preprocessed(absolute: np.ndarray, lifts: list[int]) -> np.ndarray:
  """Scale, offsets, normalisation: the forward way of the authors."""
  scaled = (absolute - LOW) / (HIGH - LOW)
  offsets = np.diff(scaled, axis=0, prepend=np.zeros((1, 2)))
  pen = np.zeros((len(absolute), 1))
  pen[lifts] = 1
  normal = (offsets - MEAN[:2]) / STD[:2]
  return np.hstack([normal, pen]).astype(np.float32)


def flags(size: int, *ones: int) -> np.ndarray:
  array = np.zeros(size, int)
  array[list(ones)] = 1
  return array


# "Oo, hi": two words, a double letter told apart by its ends, a ligature (0).
LABELS = [*map(label, "OOoo,"), 0, *map(label, "hhi"), 0]


def arrays(subjects=(7,), spelling: str = "new", **changes):
  count, size = len(subjects), len(LABELS)
  begin, word = ("boc", "bow") if spelling == "new" else ("soc", "sow")
  found = {
    "samples" if spelling == "new" else "strokes": objects(
      [preprocessed(positions(size), [1, 4, 9])] * count
    ),
    "char_labels": objects([np.array(LABELS)] * count),
    "eoc_labels": objects([flags(size, 1, 2, 3, 4, 7, 8)] * count),
    f"{begin}_labels": objects([flags(size, 0, 2, 3, 4, 6, 8)] * count),
    "eow_labels": objects([flags(size, 4, 8)] * count),
    f"{word}_labels": objects([flags(size, 0, 6)] * count),
    "word_labels": objects([flags(size)] * count),
    "subject_labels": np.array(subjects),
    # The whole source line, whatever piece of it this is.
    "texts": objects(["well Ooo, hi there"] * count),
    "alphabet": np.array(STORED),
    "preprocessing": objects(
      [
        "scale",
        "semantic_chunks",
        "origin_translation",
        "relative_representation",
        "normalization",
      ]
    ),
    # Merging two sets made these longer.
    "min": np.array([*LOW, 0, *LOW, 0]),
    "max": np.array([*HIGH, 1, *HIGH, 1]),
    "mean": MEAN,
    "std": STD,
  }
  return found | changes


def read(path, **options):
  report = SkipReport()
  return list(read_deepwriting(path, report, **options)), report


@pytest.fixture
def save(tmp_path):
  def write(name: str = "deepwriting_training", **content):
    np.savez(tmp_path / f"{name}.npz", **content)
    return tmp_path

  return write


@pytest.mark.parametrize("spelling", ["new", "old"])
def test_text_positions_and_strokes(save, spelling):
  (record,), report = read(save(**arrays(spelling=spelling)))
  assert (record.id, record.writer) == ("training/000000", "7")
  assert record.text == "Ooo, hi"
  assert [len(s) for s in record.ink.strokes] == [2, 3, 5]
  np.testing.assert_allclose(
    record.ink.points, positions(len(LABELS)), atol=0.01
  )
  assert report.total == 0


def test_labels_count_in_sorted_order():
  """The order that the fact sheet gives: NUL, signs, digits, A-Z, a-z."""
  assert label("\0") == 0 and label("'") == 1 and label("/") == 7
  assert (label("0"), label("A"), label("a"), label("z")) == (8, 18, 44, 69)


def test_words_and_characters(save):
  path = save(**arrays())
  words, _ = read(path, level="word")
  assert [(r.id, r.text, r.ink.num_points) for r in words] == [
    ("training/000000:0", "Ooo,", 5),
    ("training/000000:1", "hi", 3),
  ]
  np.testing.assert_allclose(
    words[1].ink.points, positions(len(LABELS))[6:9], atol=0.01
  )
  single, _ = read(path, level="character")
  assert [r.text for r in single] == list("Ooo,hi")
  assert [r.ink.num_points for r in single] == [2, 1, 1, 1, 2, 1]


def test_characters_by_hand():
  none = [0] * 6
  # A gap ends nothing; a new label does; a begin does; an end does.
  assert [
    (c.label, c.start, c.stop)
    for c in characters([5, 0, 5, 6, 6, 6], none, none, none)
  ] == [(5, 0, 3), (6, 3, 6)]
  begins, ends = [0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]
  found = characters([5] * 6, ends, begins, none)
  assert [(c.start, c.stop) for c in found] == [(0, 3), (3, 4), (4, 6)]


def test_both_files_are_dealt_by_writer(save):
  """The set's validation shares its writers with training."""
  save(**arrays(subjects=range(30)))
  path = save("deepwriting_validation", **arrays(subjects=range(30)))
  found = {s: read(path, split=s)[0] for s in ("train", "validation", "test")}
  writers = [{r.writer for r in records} for records in found.values()]
  assert sum(map(len, writers)) == 30 == len(set.union(*writers))
  assert sum(map(len, found.values())) == 60
  assert len({r.id for records in found.values() for r in records}) == 60


def test_damaged_pieces_are_counted(save):
  content = arrays(subjects=(1, 2, 3, 4, 5))
  content["samples"][0] = np.zeros((3, 2))
  content["char_labels"][1] = np.zeros(len(LABELS), int)
  content["char_labels"][2] = np.full(len(LABELS), 999)
  content["eoc_labels"][3] = flags(4)
  records, report = read(save(**content))
  assert [r.writer for r in records] == ["5"]
  assert report.counts == {"unreadable piece": 3, "no labels": 1}
  assert "training/000002: label 999 of an alphabet of 70" in report.table()


def test_other_files_are_refused(save, tmp_path):
  with pytest.raises(ValueError, match=r"no deepwriting_\*\.npz inside"):
    read(tmp_path)
  with pytest.raises(ValueError, match="no array samples or strokes; it has x"):
    read(save(x=np.zeros(3)))
  content = arrays()
  content["char_labels"] = objects([])
  with pytest.raises(ValueError, match="arrays of different lengths"):
    read(save(**content))
  with pytest.raises(ValueError, match="one of line, word, character"):
    read(tmp_path, level="page")


def test_arrays_are_measured_before_they_are_unpacked(save, limits):
  # 240 MB of zeros each, in an archive that may hold as much.
  huge = np.zeros(30_000_000)
  path = save(**arrays(char_labels=huge))
  with limits(), pytest.raises(ValueError, match="arrays of different lengths"):
    read(path)
  # What nobody asks for is not read at all.
  path = save(**arrays(texts=huge))
  with limits():
    records, _ = read(path)
  assert len(records) == 1
  for name in ("alphabet", "mean", "preprocessing"):
    path = save(**arrays(**{name: np.zeros(10_001)}))
    with pytest.raises(ValueError, match=f"{name} has the shape"):
      read(path)
