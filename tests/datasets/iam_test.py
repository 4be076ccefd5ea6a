"""IAM: a set of two forms with the defects of the real one."""

import pathlib

import numpy as np
import pytest

from inksight_jax.datasets.iam import read_iam
from inksight_jax.datasets.iam_files import detokenise
from inksight_jax.datasets.record import Record
from inksight_jax.datasets.skipped import SkipReport

WORDS = """#--- words.txt ---------------------------------------#
#
# format: a01-000u-00-00 ok 154 1 408 768 27 51 AT A
#
#     a01-000u-00-00  -> word id for line 00 in form a01-000u
#     ok              -> result of word segmentation: ok or er
#     154             -> graylevel to binarize the line containing this word
#     1               -> number of components for this word
q01-004k-00-00 ok 171 390 702 88 41 NP Marla
q01-004k-00-01 ok 171 500 702 60 41 VBD sold
q01-004k-01-00 err 171 -1 -1 -1 -1 NN #
q01-004k-01-01 er 171 80 800 9 41 NN boats
r06-022-03-04 ok 171 390 702 88 41 NP B B C
r06-022-03-05 ok 171 390 702 88 41 , ,
a01-117-05-02 ok 171 390 702 88 41 NN none
a01-117-05-03 ok 171 390 702 88
"""
LINES = """# lines.txt
q01-004k-00 ok 171 21 390 695 544 97 Marla|sold|"|two|"|boats|.
q01-004k-01 err 171 21 380 795 544 97 "|#|Boats|,|"|he|said|(|B B C|)|!
r06-022-03 ok 171 21 380 795 544 97 It|did|n't|.
"""
FORMS = """# forms.txt
q01-004k 118 3 prt 2 1 44 37
r06-022 007 3 all 1 1 44 37
"""
XML = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE form SYSTEM "form-metadata.dtd">
<form created="2001-02-03" height="1200" id="q01-004k" width="1000"
 skew="-12" status="final" version="3.0" writer-id="118">
 <machine-printed-part><machine-print-line text="Marla"/></machine-printed-part>
 <handwritten-part>
  <line id="q01-004k-00" segmentation="ok" threshold="171" asy="640" dsy="760"
   text="Marla sold &amp;quot;two&amp;quot; caf\xe9 boats&apos;.">
   <word id="q01-004k-00-00" tag="NP" text="Marla">
    <cmp x="390" y="702" width="40" height="41"/>
    <cmp x="440" y="700" width="38" height="20"/></word>
   <word id="q01-004k-00-01" tag="NN" text="boats"/>
  </line>
  <line id="q01-004k-01" segmentation="err" text="&quot;# Boats,&quot; he">
   <word id="q01-004k-01-00" tag="NN" text="#"/></line>
 </handwritten-part></form>
"""


def write_iam(root: pathlib.Path, draw) -> pathlib.Path:
  (root / "ascii").mkdir(parents=True)
  for name, text in (("words", WORDS), ("lines", LINES), ("forms", FORMS)):
    (root / "ascii" / f"{name}.txt").write_text(text)
  (root / "xml").mkdir()
  (root / "xml" / "q01-004k.xml").write_bytes(XML.encode("latin-1"))
  for word in ("00-00", "00-01", "01-00", "01-01"):
    draw(root / f"words/q01/q01-004k/q01-004k-{word}.png", 40, 20)
  draw(root / "words/r06/r06-022/r06-022-03-04.png", 40, 20)
  draw(root / "words/r06/r06-022/r06-022-03-05.png", 1, 1)
  (root / "words/a01/a01-117").mkdir(parents=True)
  (root / "words/a01/a01-117/a01-117-05-02.png").write_bytes(b"")
  for line in ("q01-004k-00", "q01-004k-01"):
    draw(root / f"lines/q01/q01-004k/{line}.png", 200, 30)
  draw(root / "lines/r06/r06-022/r06-022-03.png", 200, 30)
  draw(root / "formsI-Z/q01-004k.png", 1000, 1200)
  (root / "splits").mkdir()
  for name, forms in (("train", "q01-004k\n"), ("test", "r06-022\n")):
    (root / "splits" / f"{name}.uttlist").write_text(forms)
  return root


@pytest.fixture
def iam(tmp_path: pathlib.Path, draw) -> pathlib.Path:
  return write_iam(tmp_path / "iam", draw)


def texts(records: list[Record]) -> dict[str, str]:
  return {record.id: record.text for record in records}


def test_words_leave_out_what_is_no_word(iam: pathlib.Path):
  report = SkipReport()
  records = list(read_iam(iam, report, level="word"))
  assert texts(records) == {
    "q01-004k-00-00": "Marla",
    "q01-004k-00-01": "sold",
    "r06-022-03-04": "B B C",
  }
  assert [r.writer for r in records] == ["118", "118", "007"]
  image = records[0].image
  assert image is not None and image.shape == (20, 40, 3)
  assert report.counts == {
    "segmentation err": 2,
    "unreadable picture": 2,  # empty and one-pixel files
    "malformed row": 1,
  }
  assert any(
    "a01-117-05-02" in w for w in report.examples["unreadable picture"]
  )
  assert "words.txt:16" in report.examples["malformed row"][0]


def test_words_err_and_struck_out_on_demand(iam: pathlib.Path):
  report = SkipReport()
  found = texts(list(read_iam(iam, report, level="word", keep_err=True)))
  assert "q01-004k-01-01" in found and "q01-004k-01-00" not in found
  assert report.counts["struck out"] == 1
  options = {"keep_err": True, "keep_struck_out": True}
  found = texts(list(read_iam(iam, level="word", **options)))
  assert found["q01-004k-01-00"] == "#"


def test_lines_read_as_typed_or_in_tokens(iam: pathlib.Path):
  """The XML keeps the spacing and is escaped twice; without it we guess."""
  assert texts(list(read_iam(iam))) == {
    "q01-004k-00": 'Marla sold "two" caf\xe9 boats\'.',
    "q01-004k-01": '"# Boats," he',
    "r06-022-03": "It didn't.",
  }
  assert texts(list(read_iam(iam, text="tokens"))) == {
    "q01-004k-00": 'Marla sold " two " boats .',
    "q01-004k-01": '" # Boats , " he said ( B B C ) !',
    "r06-022-03": "It did n't .",
  }
  assert set(texts(list(read_iam(iam, keep_err=False)))) == {
    "q01-004k-00",
    "r06-022-03",
  }
  assert detokenise(
    (*'"#', "Boats", *',"', "he", "said", "(", "B B C", *")!")
  ) == ('"# Boats," he said (B B C)!')


def test_forms_are_pages_with_lines(iam: pathlib.Path):
  report = SkipReport()
  (record,) = read_iam(iam, report, level="form")
  assert record.id == "q01-004k" and record.writer == "118"
  assert record.text.split("\n") == [line.text for line in record.lines]
  assert record.lines[0].text.startswith("Marla sold")
  # Rows 695 - 150 to 892 + 150 of the page; boxes move along.
  assert record.image is not None and record.image.shape == (497, 1000, 3)
  assert record.image[0, 0, 1] == 545 % 256
  assert record.lines[0].box == (390, 150, 934, 247)
  assert report.counts == {"picture missing": 1}
  (whole,) = read_iam(iam, level="form", crop_forms=False)
  assert whole.image is not None and whole.image.shape == (1200, 1000, 3)
  assert whole.lines[0].box == (390, 695, 934, 792)


def test_xml_alone_is_enough(iam: pathlib.Path):
  for file in (iam / "ascii").iterdir():
    file.unlink()
  (page,) = read_iam(iam, level="form")
  assert page.writer == "118"
  assert page.lines[0].box[2:] == (478, 743 - 700 + 150)
  words = texts(list(read_iam(iam, level="word")))
  assert words == {"q01-004k-00-00": "Marla", "q01-004k-00-01": "boats"}


def test_splits_by_form_and_by_line(iam: pathlib.Path):
  def ids(**options: str) -> set[str]:
    return {record.id for record in read_iam(iam, **options)}

  with pytest.raises(ValueError, match=r"validation\.uttlist .* openslr"):
    ids(split="validation")
  (iam / "splits" / "validation.uttlist").write_text("")
  assert ids(split="train") == {"q01-004k-00", "q01-004k-01"}
  assert ids(split="train", level="form") == {"q01-004k"}
  assert ids(split="test") == {"r06-022-03"} and not ids(split="validation")
  task = iam / "elsewhere"
  task.mkdir()
  for name, lines in (
    ("trainset", "q01-004k-01\n"),
    ("validationset1", "r06-022-03\n"),
    ("validationset2", ""),
    ("testset", ""),
  ):
    (task / f"{name}.txt").write_text(lines)
  lwi = {"partition": "lwi", "split_lists": str(task)}
  assert ids(split="train", **lwi) == {"q01-004k-01"}
  assert ids(split="train", level="word", keep_err=True, **lwi) == {
    "q01-004k-01-01"
  }
  assert ids(split="validation", **lwi) == {"r06-022-03"}


@pytest.mark.parametrize(
  ("name", "content", "message"),
  [
    ("ascii/lines.txt", b"q01-004k-00 ok 171\n", r"lines\.txt:1: .*wanted id"),
    ("ascii/lines.txt", "q01".encode("utf-16"), r"lines\.txt:1: zero bytes"),
    ("ascii/lines.txt", b"x" * 2**21, r"lines\.txt:1: a line of more than"),
    ("ascii/lines.txt", b"", "none of 0 rows is a line"),
    ("splits/train.uttlist", b"../../etc/passwd\n", "uttlist:1: .* is no form"),
  ],
)
def test_broken_text_files_are_named(
  iam: pathlib.Path, limits, name: str, content: bytes, message: str
):
  (iam / name).write_bytes(content)
  with limits(), pytest.raises(ValueError, match=message):
    list(read_iam(iam, split="train"))


@pytest.mark.parametrize(
  "content",
  [
    b"<form",
    XML.replace("ISO-8859-1", "utf-8").encode("latin-1"),
    XML.replace("<form ", "<form2 ").replace("</form>", "</form2>").encode(),
    b'<!DOCTYPE form [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(
      b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10)
      for i in range(20)
    )
    + b"]><form writer-id='&u;'>&u;</form>",
  ],
)
def test_a_broken_xml_costs_its_form_only(
  iam: pathlib.Path, limits, content: bytes
):
  (iam / "xml" / "q01-004k.xml").write_bytes(content)
  report = SkipReport()
  with limits():
    found = texts(list(read_iam(iam, report)))
  assert found["q01-004k-00"] == 'Marla sold "two" boats.'
  assert report.counts["unreadable XML"] == 1


def test_a_picture_of_absurd_size_is_skipped(
  iam: pathlib.Path, limits, huge_png: bytes
):
  (iam / "lines/q01/q01-004k/q01-004k-00.png").write_bytes(huge_png)
  report = SkipReport()
  with limits():
    assert len(list(read_iam(iam, report))) == 2
  assert report.counts == {"unreadable picture": 1}


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"level": "page"}, "one of word, line, form"),
    ({"split": "dev"}, "Unknown split"),
    ({"split": "train", "partition": "rwth"}, "one of aachen, lwi"),
    ({"text": "raw"}, "'natural' or 'tokens'"),
  ],
)
def test_mistakes_name_the_way_out(iam: pathlib.Path, options, message: str):
  with pytest.raises(ValueError, match=message):
    list(read_iam(iam, **options))
  with pytest.raises(ValueError, match=r"nowhere: no such folder; wanted"):
    list(read_iam(iam / "nowhere"))


def test_order_and_ids_repeat(iam: pathlib.Path):
  first, second = (list(read_iam(iam)) for _ in range(2))
  assert [r.id for r in first] == [r.id for r in second]
  for one, other in zip(first, second, strict=True):
    np.testing.assert_array_equal(one.image, other.image)
