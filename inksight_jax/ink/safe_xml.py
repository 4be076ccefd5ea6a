"""One way to open XML that strangers wrote: no entities, no network, no flood.

Ink and page formats share it, so that none of them forgets a precaution.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import TypeAlias

import lxml.etree as etree

# A name for signatures of packages that do not import lxml themselves.
Element: TypeAlias = etree._Element

MAX_BYTES = 16 * 2**20

# A parsed element or attribute takes 100 to 250 bytes, whatever its length in
# the file. A page of handwriting has some ten thousand of them.
MAX_NODES = 400_000

# Characters that no XML 1.0 document may hold, not even escaped.
_ILLEGAL = re.compile(
  "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)

_ID_ERRORS = frozenset(
  (etree.ErrorTypes.DTD_XMLID_VALUE, etree.ErrorTypes.DTD_ID_REDEFINED)
)


def legal_text(text: str) -> str:
  """The text with U+FFFD for every character that XML cannot hold."""
  return _ILLEGAL.sub("\ufffd", text)


def read_limited(
  source: str | os.PathLike[str] | bytes,
  max_bytes: int,
  kind: str = "document",
  name: str = "",
) -> tuple[bytes, str]:
  """Reads a file, or takes its content, within a limit.

  Args:
    source: a path, or the content itself as bytes.
    max_bytes: a larger file is refused before it is read.
    kind: what to call content that has no path.
    name: its name in messages, for a member of an archive.

  Returns:
    The content and its name for messages.

  Raises:
    ValueError: larger than the limit, absent or not a file.
  """
  if isinstance(source, bytes):
    name, size = name or f"The {kind}", len(source)
  else:
    path = os.fspath(source)
    name = name or path
    if not os.path.isfile(path):
      what = "a folder" if os.path.isdir(path) else "absent"
      raise ValueError(f"{name} is {what}; wanted a file.")
    size = os.path.getsize(path)
  if size > max_bytes:
    raise ValueError(
      f"{name} holds {size} bytes, more than the limit of {max_bytes}; "
      "raise `max_bytes` if it can be trusted."
    )
  if isinstance(source, bytes):
    return source, name
  with open(source, "rb") as file:
    return file.read(max_bytes), name


def parse_xml(
  source: str | os.PathLike[str] | bytes,
  roots: Collection[str],
  kind: str,
  max_bytes: int = MAX_BYTES,
  name: str = "",
) -> Element:
  """Parses a document and checks its root; namespaces are not looked at.

  Nothing outside the document is read, and entities are refused, declared or
  not, because no handwriting format needs them and bombs are made of them.

  Args:
    source: a path, or the document itself as bytes.
    roots: local names that the root may have.
    kind: name of the format for messages, for example "InkML".
    max_bytes: larger documents are refused before they are parsed.
    name: of the document in messages, where bytes come from an archive.

  Returns:
    The root; comments and processing instructions are left out.

  Raises:
    ValueError: the document is absent, too large, not XML, declares entities,
      or has another root.
  """
  document, name = read_limited(source, max_bytes, f"{kind} document", name)
  nodes = document.count(b"<") + document.count(b"=")
  if nodes > MAX_NODES:
    raise ValueError(
      f"{name} has about {nodes} tags and attributes; at most {MAX_NODES} are "
      "read."
    )
  try:
    root = _parse(document)
  except etree.XMLSyntaxError as error:
    raise ValueError(f"{name} is not well-formed XML: {error}") from error
  dtd = root.getroottree().docinfo.internalDTD
  declared = (
    dtd is not None and next(iter(dtd.iterentities()), None) is not None
  )
  # With an external DTD, which is not read, references need no declaration.
  if declared or next(root.iter(etree.Entity), None) is not None:
    raise ValueError(f"{name} uses XML entities, which {kind} never needs.")
  local = etree.QName(root).localname
  if local not in roots:
    wanted = " or ".join(f"<{root_name}>" for root_name in roots)
    raise ValueError(
      f"{name} is not {kind}: its root is <{local}>, not {wanted}."
    )
  return root


def _parse(document: bytes, recover: bool = False) -> Element:
  parser = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    recover=recover,
  )
  try:
    return etree.fromstring(document, parser)
  except etree.XMLSyntaxError:
    # CROHME numbers its groups (xml:id="9"), which is well-formed but no valid
    # id. With no other complaint there is nothing to repair.
    complaints = {entry.type for entry in parser.error_log}
    if recover or not complaints or complaints - _ID_ERRORS:
      raise
    return _parse(document, recover=True)
