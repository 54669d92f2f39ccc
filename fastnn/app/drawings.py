"""Pictures of a run as elements of an HTML page, in the page's own colours."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np

from .. import _checks
from ..plots.run import Picture

_INK = "#010203"  # a colour that no picture has, for text and lines: it becomes that of the page
_STYLE = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "font.size": 10,
    "legend.labelcolor": _INK,
    "svg.fonttype": "none",  # letters in the page's font: small, and they can be searched
    "svg.hashsalt": "fastnn",  # the same picture gives the same text
    "text.color": _INK,
    "text.parse_math": False,  # names of columns are not formulas
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_SVG, _LINK = "http://www.w3.org/2000/svg", "{http://www.w3.org/1999/xlink}href"
_MOST_POINTS = 2000  # drawn one by one
_NARROW = 6.0  # inches: such pictures are drawn smaller by a fifth, so that a phone shows their text larger


def svg_element(picture: Picture) -> Any:
    """Return a picture as an ``<svg>`` element (markup that jinja does not escape).

    Its colours are those of the page, and its ids begin with the picture's name, so that they clash with
    those of no other picture.
    """
    matplotlib = _checks.require("matplotlib", "report")
    figures = _checks.require("matplotlib.figure", "report")
    markup = _checks.require("markupsafe", "report")
    wide = picture.size[0] > _NARROW
    with matplotlib.rc_context(_STYLE):
        width, height = (side * (1.0 if wide else 0.8) for side in picture.size)
        figure = figures.Figure(figsize=(width, height), layout="constrained")
        picture.draw(figure.add_subplot())
        for artist in figure.findobj(lambda artist: _n_points(artist) > _MOST_POINTS):
            artist.set_rasterized(True)
        content = io.BytesIO()
        figure.savefig(content, format="svg", transparent=True, dpi=150, metadata={"Date": None})
    root = ElementTree.fromstring(content.getvalue())
    prefix = element_id(picture.name)
    for element in root.iter():
        for child in list(element):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):  # a style would be the page's
                element.remove(child)
        element.attrib |= {name: _on_page(name, text, prefix) for name, text in element.attrib.items()}
        if _LINK in element.attrib:
            element.set("href", element.attrib.pop(_LINK))
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": picture.alt, "class": "wide" if wide else "narrow"}
    ElementTree.register_namespace("", _SVG)
    return markup.Markup(ElementTree.tostring(root, encoding="unicode"))


def element_id(name: str) -> str:
    """Return a name as part of an element's id.

    Examples
    --------
    >>> element_id("val f1")
    'val-f1'
    """
    return re.sub(r"\W+", "-", name)


def _on_page(name: str, text: str, prefix: str) -> str:
    """Return an attribute's text with the page's colours and with ids that no other picture has."""
    if name == "id" or (name == _LINK and text.startswith("#")):
        return f"#{prefix}-{text[1:]}" if text.startswith("#") else f"{prefix}-{text}"
    return text.replace("url(#", f"url(#{prefix}-").replace(_INK, "currentColor")


def _n_points(artist: Any) -> int:
    """Number of points that an artist draws one by one."""
    get = getattr(artist, "get_offsets", None) or getattr(artist, "get_xdata", None)
    return 0 if get is None else len(np.atleast_1d(get()))
