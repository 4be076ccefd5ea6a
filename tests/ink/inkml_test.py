"""InkML: round trips, the dialects of the data sets, and hostile files."""

import time
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inksight_jax.ink.inkml import (
  NAMESPACE,
  read_document,
  read_inkml,
  write_inkml,
  write_inkml_page,
)
from inksight_jax.ink.types import Ink, Stroke

coordinates = st.floats(-1e5, 1e5)


def read_text(text: str):
  return read_inkml(text.encode())


def columns(ink: Ink) -> list:
  return [s.points.tolist() for s in ink.strokes]


@settings(deadline=None, max_examples=50)
@given(
  st.lists(
    st.lists(st.tuples(*[coordinates] * 3), min_size=1, max_size=5), max_size=3
  ),
  st.booleans(),
)
def test_round_trip_to_a_thousandth(arrays, timed):
  width = 3 if timed else 2
  ink = Ink.from_arrays([[p[:width] for p in stroke] for stroke in arrays])
  read, _ = read_text(write_inkml(ink))
  assert len(read) == len(ink)
  assert read.has_times == ink.has_times
  for before, after in zip(ink.strokes, read.strokes, strict=True):
    np.testing.assert_allclose(after.points, before.points, atol=0.00051)
    if before.times is not None:
      np.testing.assert_allclose(after.times, before.times, atol=0.00051)


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(st.text(max_size=5), st.text(), max_size=3))
def test_any_annotation_is_written_as_well_formed_xml(annotations):
  document = write_inkml(Ink(), annotations).encode()
  root = ElementTree.fromstring(document)
  found = root.findall(f"{{{NAMESPACE}}}annotation")
  assert len(found) == len(annotations)
  read_inkml(document)


def test_annotations_of_inksight_come_back_as_written():
  annotations = {
    "application": "InkSight",
    "inferenceMode": "Derender with Text",
    "exampleId": "a<b>&\"c'",
    "textField": " ",
  }
  _, read = read_text(write_inkml(Ink(), annotations))
  assert read == annotations
  _, read = read_text(write_inkml(Ink(), {"textField": "naïve 手 \x00\ud800"}))
  assert read == {"textField": "naïve 手 \ufffd\ufffd"}


def test_the_written_form_is_the_standards():
  ink = Ink.from_arrays([[[1, 2.5], [-0.0001, 1e6]], [[3, 4]]])
  root = ElementTree.fromstring(write_inkml(ink))
  traces = root.findall(f"{{{NAMESPACE}}}trace")
  assert [t.text for t in traces] == ["1 2.5, 0 1000000", "3 4"]
  channels = root.findall(f".//{{{NAMESPACE}}}channel")
  assert [c.get("name") for c in channels] == ["X", "Y"]


def test_times_are_left_out_where_one_stroke_lacks_them():
  ink = Ink((*Ink.from_arrays([[[1, 2, 3]], [[4, 5]]]).strokes,))
  read, _ = read_text(write_inkml(ink))
  assert not read.has_times
  assert columns(read) == [[[1, 2]], [[4, 5]]]


# One line of each data set's own form; the strokes are (10, 20), (11, 22).
DIALECTS = {
  "inksight": (
    f'<ink xmlns="{NAMESPACE}"><trace>10.0,20.0 11.0,22.0</trace></ink>'
  ),
  "crohme": (
    f'<ink xmlns="{NAMESPACE}"><traceFormat><channel name="X" type="decimal"/>'
    '<channel name="Y" type="decimal"/></traceFormat>'
    '<trace id="0">\n10 20, 11 22\n</trace></ink>'
  ),
  "vnondb": (
    '<ink><traceGroup id="tg"><annotationXML><Tg_Truth>xin</Tg_Truth>'
    '</annotationXML><trace id="tr">10 20, 11 22</trace></traceGroup></ink>'
  ),
  "tight": "<ink><trace>10 20,11 22</trace></ink>",
  "prefixed": (
    f'<i:ink xmlns:i="{NAMESPACE}"><i:trace>10 20,11 22,</i:trace></i:ink>'
  ),
  "undeclared time": "<ink><trace>10 20 5,11 22 9</trace></ink>",
  "reordered": (
    '<ink><traceFormat><channel name="F"/><channel name="Y"/>'
    '<channel name="X"/></traceFormat><trace>7 20 10,8 22 11</trace></ink>'
  ),
  "pen up and empty": (
    "<ink><trace/><trace>  </trace><trace>,</trace>"
    '<trace type="penUp">0 0,1 1</trace><trace>10 20,11 22</trace></ink>'
  ),
  "commented": "<ink><trace>10 20,<!-- retraced -->11 22</trace></ink>",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_reads_the_dialect_of(name):
  ink, _ = read_text(DIALECTS[name])
  assert columns(ink) == [[[10, 20], [11, 22]]]
  assert not ink.has_times


@pytest.mark.parametrize("trace", ["10 20", "10,20", " 10,20 ", "10 20,"])
def test_one_point_reads_the_same_in_either_style(trace):
  ink, _ = read_text(f"<ink><trace>{trace}</trace></ink>")
  assert columns(ink) == [[[10, 20]]]


@pytest.mark.parametrize(
  ("units", "times"), [("", [0, 8]), ('units="s"', [0, 8000])]
)
def test_times_are_milliseconds(units, times):
  document = (
    '<ink><traceFormat><channel name="X"/><channel name="Y"/>'
    f'<channel name="T" {units}/></traceFormat>'
    "<trace>1 2 0,3 4 8</trace></ink>"
  )
  ink, _ = read_text(document)
  np.testing.assert_array_equal(ink.strokes[0].times, times)


def test_annotations_are_the_documents_not_the_symbols():
  _, annotations = read_text(
    '<ink><annotation type="truth">$a$</annotation><traceGroup>'
    '<annotation type="truth">a</annotation></traceGroup></ink>'
  )
  assert annotations == {"truth": "$a$"}


def test_empty_ink_is_read_as_empty():
  ink, annotations = read_text("<ink/>")
  assert not ink
  assert annotations == {}


@pytest.mark.parametrize(
  ("document", "message"),
  [
    ("", "not well-formed"),
    ("<ink><trace>1 2", "not well-formed"),
    ("hello", "not well-formed"),
    ("<svg/>", "root is <svg>"),
    ("<ink><trace>1 2, 3</trace></ink>", r"trace 0 \(line 1\): the point '3'"),
    ("<ink><trace>'1'2, 3 4</trace></ink>", "trace 0.*before any explicit"),
    ("<ink><trace>1 2,!3 x</trace></ink>", "could not convert 'x'"),
    ("<ink><trace>1 2,!3 ?</trace></ink>", "not finite"),
    ("<ink><trace>1 nan</trace></ink>", "not finite"),
    ("<ink><trace>one two</trace></ink>", "could not convert"),
    (
      '<ink><traceFormat><channel name="X"/></traceFormat></ink>',
      "channels X and Y are needed",
    ),
    (
      '<ink><traceFormat><channel name="X"/><channel name="Y"/>'
      '<channel name="T" units="h"/></traceFormat></ink>',
      "known are ms and s",
    ),
  ],
)
def test_what_is_wrong_is_said(document, message):
  with pytest.raises(ValueError, match=message):
    read_text(document)


def test_errors_name_the_file_and_line(tmp_path):
  path = tmp_path / "word.inkml"
  path.write_text("<ink>\n<trace>1 2</trace>\n<trace>x y</trace></ink>")
  with pytest.raises(ValueError, match=r"word\.inkml, trace 1 \(line 3\)"):
    read_inkml(path)


def entity_bomb(inside: str) -> str:
  levels = "".join(
    f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12)
  )
  return f'<!DOCTYPE ink [<!ENTITY e0 "1 2,">{levels}]>{inside}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
  "inside",
  [
    "<ink><trace>&e11;</trace></ink>",
    '<ink a="&e11;"/>',
    "<ink><trace>1 2</trace></ink>",
  ],
)
def test_entity_bombs_are_refused_at_once(inside, encoding):
  start = time.perf_counter()
  with pytest.raises(ValueError, match=r"entities|not well-formed"):
    read_inkml(entity_bomb(inside).encode(encoding))
  assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
  "head",
  [
    '<!DOCTYPE ink [<!ENTITY x SYSTEM "{uri}">]>',
    '<!DOCTYPE ink [<!ENTITY % p SYSTEM "{uri}"> %p;]>',
    '<!DOCTYPE ink SYSTEM "{uri}">',
  ],
)
def test_nothing_outside_the_document_is_read(head, tmp_path):
  secret = tmp_path / "secret.txt"
  secret.write_text('<!ENTITY x "1 2, 3 4">')
  head = head.format(uri=secret.as_uri())
  with pytest.raises(ValueError, match=r"entities|not well-formed"):
    read_text(f"{head}<ink><trace>&x;</trace></ink>")


def test_a_document_type_without_entities_is_harmless():
  ink, _ = read_text(
    '<!DOCTYPE ink SYSTEM "inkml.dtd"><ink><trace>1 2</trace></ink>'
  )
  assert columns(ink) == [[[1, 2]]]


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
  path = tmp_path / "huge.inkml"
  with path.open("wb") as file:
    file.truncate(2**40)
  start = time.perf_counter()
  with pytest.raises(
    ValueError, match=r"huge\.inkml holds 1099511627776 bytes"
  ):
    read_inkml(path)
  assert time.perf_counter() - start < 1
  with pytest.raises(ValueError, match="more than the limit of 5"):
    read_inkml(b"<ink/>", max_bytes=5)


def test_deep_nesting_is_refused():
  depth = 100_000
  document = "<ink>" + "<g>" * depth + "</g>" * depth + "</ink>"
  with pytest.raises(ValueError, match="not well-formed"):
    read_text(document)


def test_pressures_are_not_written():
  stroke = Stroke(np.array([[1.0, 2.0]]), None, np.array([0.7]))
  assert "0.7" not in write_inkml(Ink((stroke,)))


def test_groups_are_found_by_traces_inside_and_by_reference():
  """CROHME: symbols refer to traces; VNOnDB: words contain them."""
  crohme = read_document(
    f'<ink xmlns="{NAMESPACE}"><trace id="0">1 2</trace>'
    '<trace id="1">3 4, 5 6</trace><trace id="2"/><traceGroup xml:id="9">'
    '<annotation type="truth">Segmentation</annotation>'
    '<traceGroup xml:id="10"><annotation type="truth">a</annotation>'
    '<traceView traceDataRef="1"/><annotationXML href="a_1"/></traceGroup>'
    '<traceGroup xml:id="11"><annotation type="truth">b</annotation>'
    '<traceView traceDataRef="#0"/><traceView traceDataRef="2"/></traceGroup>'
    "</traceGroup></ink>".encode(),
    groups=True,
  )
  whole, a, b = crohme.groups
  assert [g.leaf for g in crohme.groups] == [False, True, True]
  assert (a.id, a.annotations) == ("10", {"truth": "a", "href": "a_1"})
  assert columns(a.ink) == [[[3, 4], [5, 6]]]
  assert columns(b.ink) == [[[1, 2]]]
  assert columns(whole.ink) == columns(a.ink) + columns(b.ink)
  vnondb = read_document(
    b"<ink><annotationXML><writer>w7</writer></annotationXML>"
    b'<traceGroup id="tg_0"><annotationXML><Tg_Truth>xin</Tg_Truth>'
    b'</annotationXML><trace id="a">1 2,3 4,</trace></traceGroup></ink>',
    groups=True,
  )
  (group,) = vnondb.groups
  assert vnondb.annotations == {"writer": "w7"}
  assert (group.id, group.annotations) == ("tg_0", {"Tg_Truth": "xin"})
  assert columns(group.ink) == [[[1, 2], [3, 4]]]


def test_mathematics_is_no_annotation():
  _, annotations = read_text(
    '<ink><annotationXML type="truth"><math xmlns="urn:math"><mi>a</mi></math>'
    "</annotationXML></ink>"
  )
  assert annotations == {}


def views(*inside: str, traces: str = '<trace id="t">1 1,2 2,3 3</trace>'):
  return read_document(
    f"<ink>{traces}{''.join(inside)}</ink>".encode(), groups=True
  )


def test_a_view_shows_the_points_asked_for():
  group = '<traceGroup><traceView traceDataRef="t" {}/></traceGroup>'
  found = views(*[group.format(a) for a in ('from="2"', 'to="2"')])
  assert [columns(g.ink) for g in found.groups] == [
    [[[2, 2], [3, 3]]],
    [[[1, 1], [2, 2]]],
  ]
  for wrong in ('from="0"', 'to="4"', 'from="3" to="2"', 'from="1:2"'):
    with pytest.raises(ValueError, match=r"document:1: a view from"):
      views(group.format(wrong))


def test_views_of_nothing_and_of_themselves_are_refused():
  with pytest.raises(ValueError, match="'u' names no trace"):
    views('<traceGroup><traceView traceDataRef="u"/></traceGroup>')
  with pytest.raises(ValueError, match="round in circles"):
    views('<traceGroup id="g"><traceView traceDataRef="g"/></traceGroup>')
  # Each group shows the one before twice: 2 to the 40 strokes.
  doubling = "".join(
    f'<traceGroup id="g{i}">'
    + f'<traceView traceDataRef="{f"g{i - 1}" if i else "t"}"/>' * 2
    + "</traceGroup>"
    for i in range(40)
  )
  start = time.perf_counter()
  with pytest.raises(ValueError, match="or multiply"):
    views(doubling)
  assert time.perf_counter() - start < 2


def test_a_flood_of_points_is_refused():
  start = time.perf_counter()
  with pytest.raises(ValueError, match="characters of points"):
    read_text("<ink><trace>" + "1 2," * 600_000 + "</trace></ink>")
  assert time.perf_counter() - start < 2


def test_a_page_has_a_group_per_line_and_word(page):
  document = write_inkml_page(page, {"application": "a"})
  read = read_document(document.encode(), groups=True)
  np.testing.assert_allclose(read.ink.points, page.ink.points, atol=6e-4)
  assert read.annotations == {"application": "a"}
  lines = [g for g in read.groups if g.annotations["type"] == "line"]
  assert [g.annotations["textField"] for g in lines] == page.text.split("\n")
  words = [g for g in read.groups if g.leaf]
  for group, word in zip(words, page.words, strict=True):
    assert group.annotations["textField"] == word.text
    assert group.annotations["confidence"] == "0.8"
    box = [float(v) for v in group.annotations["box"].split()]
    assert box == list(word.box)
    np.testing.assert_allclose(group.ink.points, word.ink.points, atol=6e-4)


def test_an_independent_reader_finds_traces_and_annotations(page):
  """InkML by the standard's section 3, with nothing but ElementTree."""
  name = "{http://www.w3.org/2003/InkML}"
  root = ElementTree.fromstring(write_inkml_page(page))
  assert root.tag == f"{name}ink"
  channels = [c.get("name") for c in root.iter(f"{name}channel")]
  assert channels == ["X", "Y"]
  traces = [
    [[float(v) for v in point.split()] for point in trace.text.split(",")]
    for trace in root.iter(f"{name}trace")
  ]
  for trace, stroke in zip(traces, page.ink.strokes, strict=True):
    np.testing.assert_allclose(trace, stroke.points, atol=6e-4)
  identities = [trace.get("id") for trace in root.iter(f"{name}trace")]
  assert len(set(identities)) == len(identities)
