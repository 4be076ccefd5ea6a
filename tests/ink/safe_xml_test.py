"""The one opener of XML from strangers."""

import pathlib

import pytest

from inksight_jax.ink.safe_xml import parse_xml, read_limited


def test_root_is_judged_by_its_local_name():
  root = parse_xml(b'<a:PcGts xmlns:a="urn:x"/>', ("PcGts",), "PAGE-XML")
  assert root.tag == "{urn:x}PcGts"
  with pytest.raises(ValueError, match=r"not PAGE-XML: its root is <ink>, not"):
    parse_xml(b"<ink/>", ("PcGts",), "PAGE-XML")


def test_declared_encoding_counts():
  text = '<?xml version="1.0" encoding="ISO-8859-1"?><form id="\xe9"/>'
  root = parse_xml(text.encode("latin-1"), ("form",), "IAM XML")
  assert root.get("id") == "\xe9"


@pytest.mark.parametrize("inside", ["&a;", '<b c="&a;"/>'])
def test_entities_are_refused(inside: str):
  document = f'<!DOCTYPE x [<!ENTITY a "b">]><x>{inside}</x>'
  with pytest.raises(ValueError, match="uses XML entities, which X never"):
    parse_xml(document.encode(), ("x",), "X")


def test_size_is_looked_at_before_reading(tmp_path: pathlib.Path):
  path = tmp_path / "sparse.xml"
  with path.open("wb") as file:
    file.truncate(2**40)
  with pytest.raises(ValueError, match=r"sparse\.xml holds 1099511627776"):
    read_limited(path, 100)
  with pytest.raises(ValueError, match="a folder; wanted a file"):
    read_limited(tmp_path, 100)
  with pytest.raises(ValueError, match=r"nothing is absent"):
    read_limited(tmp_path / "nothing", 100)


def test_ids_that_are_numbers_are_forgiven_but_nothing_else():
  root = parse_xml(b'<ink><g xml:id="9"/><g xml:id="9"/></ink>', ("ink",), "X")
  assert len(root) == 2
  with pytest.raises(ValueError, match="not well-formed"):
    parse_xml(b'<ink><g xml:id="9"></ink>', ("ink",), "X")
  with pytest.raises(ValueError, match="not well-formed"):
    parse_xml(b'<ink><g xml:id="9"/>', ("ink",), "X")


def test_a_document_out_of_an_archive_has_a_name():
  with pytest.raises(ValueError, match=r"^a/b\.xml is not well-formed"):
    parse_xml(b"<", ("ink",), "InkML", name="a/b.xml")


@pytest.mark.parametrize("flood", [b"<a/>" * 500_000, b' a=""' * 500_000])
def test_a_flood_of_elements_is_refused(flood: bytes):
  with pytest.raises(ValueError, match="tags and attributes; at most"):
    parse_xml(b"<ink>" + flood + b"</ink>", ("ink",), "InkML")
