"""Pictures as elements of a page: their colours are the page's, their ids their own."""

import re

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("markupsafe")

from fastnn.app.drawings import element_id, svg_element
from fastnn.plots import Picture, learning_curve

COLUMNS = {"epoch": [1, 2, 3], "cost": [1.0, 0.5, 0.4], "val_cost": [1.1, 0.6, 0.7]}


def picture(name="val cost", size=(5.0, 4.0), draw=lambda ax: learning_curve(COLUMNS, ax=ax)):
    return Picture(name, "Cost", 'falls to "0.4" & stays', draw, size)


def test_ids_are_the_pictures_own():
    one, other = str(svg_element(picture())), str(svg_element(picture("lr")))
    ids = [set(re.findall(r'\bid="([^"]*)"', text)) for text in (one, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    assert all(found.startswith(f"{element_id('val cost')}-") for found in ids[0])
    for link in re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', one):
        assert "".join(link) in ids[0]


def test_colours_and_words():
    text = str(svg_element(picture()))
    assert "currentColor" in text
    assert "#010203" not in text
    assert "<style" not in text
    assert "<metadata" not in text
    assert 'aria-label="falls to &quot;0.4&quot; &amp; stays"' in text
    assert text == str(svg_element(picture()))
    assert 'class="narrow"' in text
    assert 'class="wide"' in str(svg_element(picture(size=(8.0, 4.0))))


def test_many_points_are_one_image():
    many = picture(draw=lambda ax: ax.plot(range(5000), range(5000), "o"))
    assert "data:image/png;base64," in str(svg_element(many))
