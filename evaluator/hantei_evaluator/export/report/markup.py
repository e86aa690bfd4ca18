"""HTML that can't be broken out of: elements made by a function, their texts and attributes escaped."""

from collections.abc import Iterable
from html import escape


class Markup(str):
    """Text that is HTML already; any other text is escaped where it is put into an element."""

    __slots__ = ()


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """``<tag attributes>content</tag>``; of attribute names a trailing ``_`` is dropped and ``_`` becomes ``-``."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{written}>{join(content)}</{tag}>")


def join(content: Iterable[object]) -> Markup:
    """All of it, one after the other."""
    return Markup("".join(each if isinstance(each, Markup) else escape(_text(each), quote=False) for each in content))


def table(headers: Iterable[object], rows: Iterable[Iterable[object]], **attributes: object) -> Markup:
    """A table; a cell that is an element of its own kind (``<td``) is taken as it is."""
    head = element("tr", *(element("th", header, scope="col") for header in headers))
    body = [
        element(
            "tr", *(cell if isinstance(cell, Markup) and cell.startswith("<t") else element("td", cell) for cell in row)
        )
        for row in rows
    ]
    return element(
        "div", element("table", element("thead", head), element("tbody", *body), **attributes), class_="wide"
    )


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
