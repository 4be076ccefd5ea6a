"""InkSight's released inks, on the letterboxed canvas of their pictures."""

import numpy as np
import pytest

from inksight_jax.datasets.inksight_inks import read_inksight_inks
from inksight_jax.datasets.skipped import SkipReport


def ink(text: str, points: str = "12.0,100.0 13.0,104.0 15.0,110.0") -> str:
  return (
    '<ink xmlns="http://www.w3.org/2003/InkML">'
    '<annotation type="application">InkSight</annotation>'
    '<annotation type="sourceDataset">IAM</annotation>'
    '<annotation type="inferenceMode">Vanilla</annotation>'
    '<annotation type="exampleId">q01</annotation>'
    f'<annotation type="textField">{text}</annotation>'
    f"<trace>{points}</trace></ink>"
  )


FILES = {
  # An id that str.strip(".png") would eat.
  "small-p_IAM_inkml/d+t/png-00.inkml": ink("Marla"),
  "small-p_IAM_inkml/vanilla/png-00.inkml": ink("plain"),
  "small-i_hiertext_inkml/d+t/abc_45.inkml": ink("sign"),
  "small-p_IAM_inkml/d+t/gone.inkml": ink("no picture"),
  "small-p_IAM_inkml/d+t/none.inkml": ink("no ink", ""),
}


def read(path, **options):
  report = SkipReport()
  return list(read_inksight_inks(path, report, **options)), report


def test_ink_and_picture_share_a_frame(write_files, draw):
  path = write_files(FILES)
  draw(path / "IAM/images_sample/png-00.png", 100, 50)
  records, report = read(path)
  assert [(r.id, r.text) for r in records] == [
    ("small-p/IAM/d+t/gone", "no picture"),
    ("small-p/IAM/d+t/png-00", "Marla"),
  ]
  gone, seen = records
  assert seen.ink.points.tolist() == [[12, 100], [13, 104], [15, 110]]
  assert gone.image is None and seen.image.shape == (224, 224, 3)
  # 100 x 50 fills the middle half; white above and below.
  assert (seen.image[:50] == 255).all() and (seen.image[175:] == 255).all()
  np.testing.assert_array_less(seen.image[60:160, :, 2].max(), 200)
  assert report.counts == {"picture missing": 1, "no strokes": 1}


def test_models_modes_and_splits(write_files):
  path = write_files(FILES)
  assert [r.text for r in read(path, modes=("vanilla",), images=False)[0]] == [
    "plain"
  ]
  assert [r.id for r in read(path, models=("small-i",), images=False)[0]] == [
    "small-i/hiertext/d+t/abc_45"
  ]
  assert len(read(path, split="test")[0]) == 2
  assert not read(path, split="train")[0]
  with pytest.raises(ValueError, match="huge; known are small-i"):
    read(path, models=("huge",))


def test_hostile_files_are_counted(write_files, hostile_xml, limits):
  damaged = hostile_xml(ink("x"))
  path = write_files(
    {f"small-p_IAM_inkml/d+t/{k}.inkml": v for k, v in damaged.items()}
  )
  with limits():
    records, report = read(path)
  assert not records
  assert report.counts == {"unreadable InkML": len(damaged)}
