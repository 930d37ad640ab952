"""Whether a document is JUnit's XML by Jenkins' schema, which is plain enough to be read here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

SCHEMA = Path(__file__).parents[1] / "fixtures" / "schemas" / "junit-4.xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"
# What GitLab reads beyond the schema.
MORE = {"testcase": {"file", "line"}}
ELEMENTS = {
    element.attrib["name"]: element
    for element in ET.parse(SCHEMA).getroot().findall(f"{XS}element")  # noqa: S314 - our own file
}


def violations(element: ET.Element) -> list[str]:
    """What the schema does not allow of the element and all below it, in words."""
    return list(_violations(element))


def _violations(element: ET.Element) -> Iterator[str]:
    name = element.tag
    schema = ELEMENTS[name]
    attributes = {one.attrib["name"]: one for one in schema.iter(f"{XS}attribute")}
    for attribute in element.attrib.keys() - attributes.keys() - MORE.get(name, set()):
        yield f"{name}: {attribute}"
    for attribute, about in attributes.items():
        if about.get("use") == "required" and attribute not in element.attrib:
            yield f"{name} lacks {attribute}"
    yield from _children(element, schema)
    for child in element:
        if child.tag in ELEMENTS:
            yield from _violations(child)


def _children(element: ET.Element, schema: ET.Element) -> Iterator[str]:
    """Children are a sequence: each kind in its place, and no more of it than is allowed."""
    allowed = [one.attrib for one in schema.iter(f"{XS}element") if "ref" in one.attrib]
    order = [one["ref"] for one in allowed]
    before = ""
    for child in element:
        if child.tag not in order:
            yield f"{element.tag}: <{child.tag}>"
        elif before and order.index(child.tag) < order.index(before):
            yield f"{element.tag}: <{child.tag}> after <{before}>"
        else:
            before = child.tag
    for one in allowed:
        most = one.get("maxOccurs", "1")
        if most != "unbounded" and len(element.findall(one["ref"])) > int(most):
            yield f"{element.tag}: more than {most} <{one['ref']}>"
