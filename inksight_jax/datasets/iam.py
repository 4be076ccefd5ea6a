"""IAM handwriting database 3.0: English words, lines and forms.

U.-V. Marti, H. Bunke, IJDAR 2002; registered users, non-commercial research.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from inksight_jax.datasets import iam_files
from inksight_jax.datasets.iam_files import Entry, FormXml
from inksight_jax.datasets.pictures import Image, Pictures, crop_box
from inksight_jax.datasets.record import PageLine, Record
from inksight_jax.datasets.skipped import SkipReport
from inksight_jax.datasets.splits import ALL, expand

SOURCE = "iam"
LEVELS = ("word", "line", "form")
# Rows kept above the first and below the last line of a form, as FPHTR does:
# the printed text and the signature stay out.
FORM_MARGIN = 150


class _Iam:
  """The files of the set."""

  def __init__(self, root: pathlib.Path, report: SkipReport) -> None:
    if not root.is_dir():
      raise ValueError(
        f"{root}: no such folder; wanted the unpacked IAM with ascii/ or xml/ "
        "and words/, lines/ or forms*/."
      )
    self.root = root
    self.report = report
    self.xml_files = {
      path.stem: path
      for path in sorted((root / "xml").rglob("*.xml"))
      if iam_files.FORM_ID.fullmatch(path.stem)
    }
    self._last: tuple[str, FormXml | None] = ("", None)
    forms = self.ascii("forms.txt")
    self.writers = iam_files.read_writers(forms, report) if forms else {}

  def ascii(self, name: str) -> pathlib.Path | None:
    """One of the text files, where it is."""
    for path in (self.root / "ascii" / name, self.root / name):
      if path.is_file():
        return path
    return None

  def xml(self, form: str) -> FormXml | None:
    """The XML of a form; None, counted once, if it is broken."""
    if self._last[0] != form:
      parsed = None
      if form in self.xml_files:
        try:
          parsed = iam_files.read_form_xml(self.xml_files[form])
        except ValueError as error:
          self.report.skip("unreadable XML", str(error))
      self._last = form, parsed
    return self._last[1]

  def entries(self, level: str) -> Iterator[tuple[str, list[Entry]]]:
    """Words or lines of each form, sorted."""
    path = self.ascii(f"{level}s.txt")
    table = (
      iam_files.read_ascii(path, level, self.report)
      if path
      else dict.fromkeys(self.xml_files, None)
    )
    if not table:
      raise ValueError(
        f"{self.root}: neither ascii/{level}s.txt nor xml/<form>.xml; is this "
        "the unpacked IAM?"
      )
    for form in sorted(table):
      entries = table[form]
      if entries is None:
        parsed = self.xml(form)
        if parsed is None:
          continue
        entries = list(parsed.words if level == "word" else parsed.lines)
      yield form, sorted(entries, key=lambda entry: entry.id)

  def writer(self, form: str) -> str:
    """Writer of a form, from forms.txt or the XML; empty if in neither."""
    if form in self.writers:
      return self.writers[form]
    parsed = self.xml(form)
    return parsed.writer if parsed else ""

  def natural_text(self, entry: Entry) -> str:
    """The XML's text of a line, which keeps the spacing; else our guess."""
    parsed = self.xml(entry.form)
    for line in parsed.lines if parsed else ():
      if line.id == entry.id and line.text:
        return line.text
    return entry.text


def read_iam(
  path: str | pathlib.Path,
  report: SkipReport | None = None,
  *,
  split: str = ALL,
  level: str = "line",
  partition: str = "aachen",
  split_lists: str | pathlib.Path = "",
  text: str = "natural",
  keep_err: bool | None = None,
  keep_struck_out: bool | None = None,
  crop_forms: bool = True,
) -> Iterator[Record]:
  """Reads words, lines or forms.

  Labels come from ascii/*.txt or, without these, from xml/*.xml. Pictures are
  words/, lines/ and forms*/ as the archives unpack.

  Args:
    path: the folder with ascii/, xml/, words/, lines/, forms*/ (those needed).
    report: counts what was left out and why.
    split: "train", "validation", "test" or "all".
    level: "word", "line" or "form".
    partition: "aachen" (form ids, OpenSLR 56) or "lwi" (line ids).
    split_lists: folder of the lists; by default `splits`, `task` or the
      folder itself. Not needed where `split` is "all".
    text: "natural" as one would type it, or "tokens": words and punctuation
      marks apart, with one space between them.
    keep_err: whether entries with the status `err` are read. It judges the
      cutting into words, so by default words are left out and lines kept.
    keep_struck_out: whether entries with `#`, a struck-out word, are read; by
      default words are left out and lines kept.
    crop_forms: whether forms are cut to the handwritten part.

  Yields:
    Records with IAM's own ids, sorted by form. Forms have `lines`.

  Raises:
    ValueError: no IAM, or split lists are wanted and absent.
  """
  expand(split)
  if level not in LEVELS:
    raise ValueError(f"Level {level!r} of IAM; one of {', '.join(LEVELS)}.")
  if text not in ("natural", "tokens"):
    raise ValueError(f"text={text!r} of IAM; 'natural' or 'tokens'.")
  report = report or SkipReport()
  root = pathlib.Path(path).expanduser()
  iam = _Iam(root, report)
  wanted = None
  if split not in ("", ALL):
    folders = [root / "splits", root / "task", root]
    if split_lists:
      folders = [pathlib.Path(split_lists).expanduser()]
    wanted = iam_files.read_split(folders, partition, split)
  pictures = Pictures(root, report)
  whole = {
    "keep_err": level != "word" if keep_err is None else keep_err,
    "keep_struck_out": (
      level != "word" if keep_struck_out is None else keep_struck_out
    ),
  }
  if level == "form":
    yield from _forms(iam, pictures, wanted, text, crop_forms, **whole)
    return
  for form, entries in iam.entries(level):
    for entry in entries:
      if wanted is not None and not _is_wanted(entry.id, form, wanted):
        continue
      record = _crop(iam, pictures, entry, level, text, **whole)
      if record is not None:
        yield record


def _is_wanted(identity: str, form: str, wanted: frozenset[str]) -> bool:
  """Whether an id, its line or its form is listed."""
  line = identity.removeprefix(form)[:3]
  return form in wanted or form + line in wanted


def _reason(entry: Entry, keep_err: bool, keep_struck_out: bool) -> str:
  """Why an entry is left out; empty if it is not."""
  if not entry.text:
    return "empty text"
  if not entry.ok and not keep_err:
    return "segmentation err"
  if iam_files.STRUCK_OUT in entry.tokens and not keep_struck_out:
    return "struck out"
  return ""


def _text(iam: _Iam, entry: Entry, text: str, level: str) -> str:
  if text == "tokens":
    return " ".join(entry.tokens)
  return entry.text if level == "word" else iam.natural_text(entry)


def _crop(
  iam: _Iam,
  pictures: Pictures,
  entry: Entry,
  level: str,
  text: str,
  **keep: bool,
) -> Record | None:
  if reason := _reason(entry, **keep):
    iam.report.skip(reason, entry.where)
    return None
  form, name = entry.form, f"{entry.id}.png"
  nested = f"{form[:3]}/{form}/{name}"
  path = pictures.find(
    [f"{level}s/{nested}", f"{level}s/{name}", f"img/{nested}", nested],
    entry.id,
  )
  image = pictures.read(path, entry.id) if path else None
  if image is None:
    return None
  return Record(
    id=entry.id,
    source=SOURCE,
    text=_text(iam, entry, text, level),
    writer=iam.writer(form),
    image=image,
  )


def _forms(
  iam: _Iam,
  pictures: Pictures,
  wanted: frozenset[str] | None,
  text: str,
  crop: bool,
  **keep: bool,
) -> Iterator[Record]:
  files = {
    file.stem: file.relative_to(iam.root).as_posix()
    for folder in sorted(iam.root.glob("forms*"))
    for file in sorted(folder.rglob("*.png"))
  }
  listed = None if wanted is None else {iam_files.form_of(i) for i in wanted}
  for form, entries in iam.entries("line"):
    if listed is not None and form not in listed:
      continue
    reasons = [_reason(entry, **keep) for entry in entries]
    if any(reasons):
      iam.report.skip(next(filter(None, reasons)), form)
      continue
    file = pictures.find(files.get(form, f"forms/{form}.png"), form)
    image = pictures.read(file, form) if file else None
    if image is None:
      continue
    record = _page(iam, form, entries, image, text, crop)
    if record is None:
      iam.report.skip("lines outside the picture", form)
    else:
      yield record


def _page(
  iam: _Iam,
  form: str,
  entries: list[Entry],
  image: Image,
  text: str,
  crop: bool,
) -> Record | None:
  height, width = image.shape[:2]
  boxes = [entry.box or (0.0, 0.0, 0.0, 0.0) for entry in entries]
  known = [entry.box for entry in entries if entry.box]
  top, bottom = 0.0, float(height)
  if crop and known:
    top = max(0.0, min(box[1] for box in known) - FORM_MARGIN)
    bottom = min(bottom, max(box[3] for box in known) + FORM_MARGIN)
  part = crop_box(image, (0, top, width, bottom))
  if part is None:
    return None
  lines = tuple(
    PageLine(
      _text(iam, entry, text, "line"),
      (box[0], box[1] - top, box[2], box[3] - top) if entry.box else box,
    )
    for entry, box in zip(entries, boxes, strict=True)
  )
  return Record(
    id=form,
    source=SOURCE,
    text="\n".join(line.text for line in lines),
    writer=iam.writer(form),
    image=part,
    lines=lines,
  )
