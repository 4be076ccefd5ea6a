"""Text and XML files of the IAM handwriting database, as they really are.

U.-V. Marti, H. Bunke, IJDAR 2002. The header of words.txt promises a count of
components that its rows lack, and states the status as `er` where rows say
`err`; XML texts are escaped once or twice.
"""

from __future__ import annotations

import collections
import dataclasses
import html
import pathlib
import re
from collections.abc import Iterator

from inksight_jax.datasets.pictures import Box
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.text_files import read_lines
from inksight_jax.ink.safe_xml import Element, parse_xml

FORM_ID = re.compile(r"[a-z]\d\d-\d\d\d[a-z]?")
_ENTRY_ID = re.compile(rf"({FORM_ID.pattern})(-\d\d)(-\d\d)?")
STRUCK_OUT = "#"


@dataclasses.dataclass(frozen=True)
class Entry:
  """A word or a line.

  Attributes:
    id: such as a01-000u-00 (line) or a01-000u-00-03 (word).
    ok: whether the segmentation into words was judged right.
    box: in pixels of the form; None where the file gives none (-1).
    tokens: words and punctuation marks; of a word, itself alone.
    text: as one would type it.
    where: file and line.
  """

  id: str
  ok: bool
  box: Box | None
  tokens: tuple[str, ...]
  text: str
  where: str

  @property
  def form(self) -> str:
    """Id of the form."""
    return form_of(self.id)


def form_of(identity: str) -> str:
  """The form of a line or word id; the id itself if it is none."""
  match = _ENTRY_ID.fullmatch(identity)
  return match[1] if match else identity


def detokenise(tokens: tuple[str, ...]) -> str:
  """Joins words and punctuation marks as one would type them.

  Quotation marks alternate between opening and closing. The original spacing
  is not in the ascii files; where the XML is at hand, its text is better.
  """
  text, glued, open_quote = "", True, False
  for token in tokens:
    closing = token in {",", ".", ";", ":", "!", "?", ")", "...", "%"} or (
      token in {"'s", "n't", "'ll", "'re", "'ve", "'m", "'d"}
    )
    opening = token == "("
    if token == '"':
      closing, opening = open_quote, not open_quote
      open_quote = not open_quote
    text += token if glued or closing else f" {token}"
    glued = opening
  return text


def read_ascii(
  path: pathlib.Path, level: str, report: SkipReport
) -> dict[str, list[Entry]]:
  """Reads ascii/words.txt or ascii/lines.txt.

  Args:
    path: the file.
    level: "word" or "line".
    report: counts rows that are no entries.

  Returns:
    Entries by form.

  Raises:
    ValueError: absent, not text, or no row can be read.
  """
  entries: dict[str, list[Entry]] = collections.defaultdict(list)
  seen: set[str] = set()
  rows, first_problem = 0, ""
  for number, line in read_lines(path, "latin-1"):
    if not line.strip() or line.startswith("#"):
      continue
    rows += 1
    where = f"{path}:{number}"
    try:
      entry = _entry(line, level, where)
    except ValueError as error:
      first_problem = first_problem or str(error)
      report.skip("malformed row", str(error))
      continue
    if entry.id in seen:
      report.skip("id given twice", where)
      continue
    seen.add(entry.id)
    entries[entry.form].append(entry)
  if not seen:
    raise ValueError(
      f"{path}: none of {rows} rows is a {level} of IAM. {first_problem}"
    )
  return dict(entries)


def _entry(line: str, level: str, where: str) -> Entry:
  # Both files have 8 fields before the text: words.txt a POS tag after the
  # box, lines.txt a component count before it. Texts may hold spaces.
  fields = line.split(" ", 8)
  match = _ENTRY_ID.fullmatch(fields[0])
  if match is None or (match[3] is None) != (level == "line"):
    raise ValueError(f"{where}: {fields[0][:40]!r} is not the id of a {level}.")
  if len(fields) < 9 or fields[1] not in ("ok", "err", "er"):
    raise ValueError(
      f"{where}: {line[:60]!r}; wanted id, ok or err, grey level, box, text."
    )
  numbers = fields[4:8] if level == "line" else fields[3:7]
  try:
    x, y, width, height = map(int, numbers)
  except ValueError:
    raise ValueError(f"{where}: {numbers} is not a box x y w h.") from None
  text = fields[8].strip()
  tokens = (
    tuple(t for t in text.split("|") if t) if level == "line" else (text,)
  )
  return Entry(
    fields[0],
    fields[1] == "ok",
    (x, y, x + width, y + height) if min(width, height) > 0 else None,
    tokens,
    detokenise(tokens),
    where,
  )


def read_writers(path: pathlib.Path, report: SkipReport) -> dict[str, str]:
  """Reads ascii/forms.txt: writer by form.

  Raises:
    ValueError: absent or not text.
  """
  writers = {}
  for number, line in read_lines(path, "latin-1"):
    if line.startswith("#") or not line.strip():
      continue
    fields = line.split()
    if len(fields) < 2 or not FORM_ID.fullmatch(fields[0]):
      report.skip("malformed row", f"{path}:{number}")
      continue
    writers[fields[0]] = fields[1]
  return writers


@dataclasses.dataclass(frozen=True)
class FormXml:
  """One xml/<form>.xml: writer, lines and words."""

  writer: str
  lines: tuple[Entry, ...]
  words: tuple[Entry, ...]


def read_form_xml(path: pathlib.Path) -> FormXml:
  """Reads the XML of a form.

  Raises:
    ValueError: it is not such an XML, with the file and the reason.
  """
  root = parse_xml(path, ("form",), "IAM XML")
  lines, words = [], []
  for line in root.iter("{*}line"):
    where = f"{path}:{line.sourceline}"
    ok = line.get("segmentation", "ok") == "ok"
    own = []
    for word in line.iter("{*}word"):
      text = html.unescape(word.get("text", ""))
      box = _component_box(word)
      own.append(Entry(word.get("id", ""), ok, box, (text,), text, where))
    boxes = [word.box for word in own if word.box]
    lines.append(
      Entry(
        line.get("id", ""),
        ok,
        _union(boxes),
        tuple(word.text for word in own),
        html.unescape(line.get("text", "")),
        where,
      )
    )
    words += own
  return FormXml(root.get("writer-id", ""), tuple(lines), tuple(words))


def _component_box(word: Element) -> Box | None:
  boxes = []
  for component in word.iter("{*}cmp"):
    try:
      x, y, width, height = (
        int(component.get(name, "")) for name in ("x", "y", "width", "height")
      )
    except ValueError:
      continue
    boxes.append((x, y, x + width, y + height))
  return _union(boxes)


def _union(boxes: list[Box]) -> Box | None:
  if not boxes:
    return None
  left, top, right, bottom = zip(*boxes, strict=True)
  return min(left), min(top), max(right), max(bottom)


AACHEN = {
  "train": ("train.uttlist",),
  "validation": ("validation.uttlist",),
  "test": ("test.uttlist",),
}
LWI = {
  "train": ("trainset.txt",),
  "validation": ("validationset1.txt", "validationset2.txt"),
  "test": ("testset.txt",),
}
SPLIT_LISTS = {"aachen": AACHEN, "lwi": LWI}


def read_split(
  folders: list[pathlib.Path], partition: str, split: str
) -> frozenset[str]:
  """Reads the form ids (Aachen) or line ids (LWI) of a split.

  Args:
    folders: where to look for the lists, in this order.
    partition: "aachen" (OpenSLR 56) or "lwi", the set's own writer independent
      text line recognition task.
    split: "train", "validation" or "test".

  Raises:
    ValueError: unknown partition, or its lists are in none of the folders.
  """
  if partition not in SPLIT_LISTS:
    raise ValueError(
      f"Partition {partition!r} of IAM; one of {', '.join(SPLIT_LISTS)}."
    )
  names = SPLIT_LISTS[partition][split]
  for folder in folders:
    if all((folder / name).is_file() for name in names):
      return frozenset(_ids(folder, names))
  raise ValueError(
    f"IAM: {', '.join(names)} of the partition {partition!r} are not in "
    f"{', '.join(map(str, folders))}. Aachen's lists are in openslr.org/56 "
    "(splits/), the LWI lists in largeWriterIndependentText"
    "LineRecognitionTask.zip; give their folder as `split_lists`."
  )


def _ids(folder: pathlib.Path, names: tuple[str, ...]) -> Iterator[str]:
  for name in names:
    for number, line in read_lines(folder / name, "latin-1"):
      identity = line.strip()
      if not identity:
        continue
      if not FORM_ID.fullmatch(form_of(identity)):
        raise ValueError(
          f"{folder / name}:{number}: {identity[:40]!r} is no form or line id."
        )
      yield identity
