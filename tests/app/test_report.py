"""The report of runs of every kind, looked at by a browser where there is one."""

from __future__ import annotations

import csv
import functools
import html.parser
import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

import fastnn
from app.made_runs import HOSTILE, KINDS, hostile_run, make_run, write_json
from fastnn.app import report
from fastnn.app.model_card import write_model_card
from fastnn.app.report import write_report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TEMPLATE = Path(fastnn.__file__).parent / "app" / "templates" / "report.html.jinja"


class Page(html.parser.HTMLParser):
    """What a test asks of a page: its elements with their attributes, and texts by element."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        last = self.open.pop()
        assert last == tag, f"</{tag}> closes <{last}>"

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, *tags) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]

    def text(self, *tags) -> str:
        return " ".join(data for tag, data in self.texts if not tags or tag in tags)


def page_of(folder: Path) -> Page:
    """Of a report that is written now."""
    return Page(write_report(folder).read_text("utf-8"))


def read_page(folder: Path) -> Page:
    """Of the report that is there."""
    return Page((folder / "report.html").read_text("utf-8"))


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """The folder of a run of a kind, with its report, which no test may change; each is made once."""

    @functools.cache
    def make(kind: str) -> Path:
        folder = tmp_path_factory.mktemp("runs") / "run"
        run = hostile_run(folder) if kind == "hostile" else make_run(folder, kind)
        write_report(run)
        return run

    return make


@pytest.fixture(params=KINDS)
def run(request, reported) -> Path:
    return reported(request.param)


@pytest.fixture
def no_pictures(monkeypatch):
    """For what pictures have no part in: they take their time."""
    monkeypatch.setattr(report, "_pictures", lambda folder: [])


words_only = pytest.mark.usefixtures("no_pictures")


def test_report_is_complete_and_accessible(run):
    page = read_page(run)
    assert page.open == []  # every element was closed
    assert len(page.all("h1")) == 1
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1
    assert page.all("html")[0]["lang"] == "en"
    assert page.elements[page.elements.index(("body", {})) + 1] == ("a", {"class": "skip", "href": "#main"})
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
    for section in page.all("section"):
        assert section["aria-labelledby"] in ids
    assert page.all("section")[0]["id"] == "scores"  # the result, then what it comes from
    assert all(attributes.get("scope") in ("row", "col") for attributes in page.all("th"))
    assert all(table["aria-labelledby"] in ids for table in page.all("table"))
    assert all(attributes.get("alt") for attributes in page.all("img"))
    for drawing in page.all("svg"):
        assert drawing["role"] == "img"
        assert drawing["aria-label"]
    assert len(page.all("svg")) == len(page.all("figure")) >= 2
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_several_targets_have_their_pictures(reported):
    titles = read_page(reported("several targets")).text("figcaption")
    assert all(f"Predicted against true: {name}" in titles for name in ("width", "height"))


def test_report_needs_nothing_else(run):
    """No script, and no address but within the page, its folder, or data that it holds."""
    text = (run / "report.html").read_text("utf-8")
    page = Page(text)
    assert not page.all("script", "link", "iframe", "object", "base", "form")
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href", "xlink:href", "srcset", "action"):
                assert re.match(r"#|data:image/|[\w.-]+$", value), (tag, name, value[:50])
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_drawings_have_the_colours_of_the_page(run):
    """Else their text would be black on black where the scheme is dark."""
    page = read_page(run)
    texts = page.all("text")
    assert texts
    for text in texts:
        assert re.search(r"fill: (currentColor|#(?!0{6})[0-9a-f]{6})", text["style"]), text
    styles = [attributes.get("style") or "" for _, attributes in page.elements]
    assert not any(re.search("#010203|#030201", style) for style in styles)
    assert sum("stroke: currentColor" in style for style in styles) > 5  # axes and ticks


def test_report_does_not_change_what_it_reads(tmp_path):
    run = make_run(tmp_path / "run", "two classes")
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    first = write_report(run).read_bytes()
    assert write_report(run).read_bytes() == first  # nor itself, from one time to the next
    assert {name: (run / name).read_bytes() for name in before} == before


@words_only
def test_report_tells_scores_with_intervals(tmp_path):
    run = make_run(tmp_path / "run", "ten classes")
    summary = json.loads((run / "summary.json").read_text())
    text = page_of(run).text().replace("\N{NO-BREAK SPACE}", " ")
    score = summary["test"]["accuracy"]
    value, low, high = (f"{100 * score[name]:.1f} %" for name in ("value", "low", "high"))
    assert f"The model predicts the class of {value} of 200 unseen test rows correctly" in text
    assert f"(95 % interval {low[:-2]} to {high})" in text
    most = max(summary["data"]["target_counts"], key=summary["data"]["target_counts"].get)
    truth = [line["truth"] for line in csv.DictReader((run / "test.csv").open())]
    share = 100 * truth.count(most) / len(truth)
    assert f"Always answering “{most}” would be right for {share:.1f} %." in text
    assert "larger than chance in the choice of test rows would explain" in text
    assert "fastnn train flowers.csv --target species" in text
    assert "81,234" in text or "81,235" in text


@words_only
def test_verdict_knows_no_better_than_guessing(tmp_path):
    same = {"accuracy": {"value": 0.7, "low": 0.6, "high": 0.8}}
    run = make_run(tmp_path / "run", test=same, data={"target_counts": {"no": 560, "yes": 240}})
    summary = json.loads((run / "summary.json").read_text())
    summary["test"] = same
    write_json(run / "summary.json", summary)
    assert "may have learnt nothing" in page_of(run).text()
    summary["test"] = {"accuracy": {"value": 0.2, "low": 0.1, "high": 0.3}}
    write_json(run / "summary.json", summary)
    assert "worse than that" in page_of(run).text()


@words_only
def test_regression_is_compared_with_the_mean(tmp_path):
    run = make_run(tmp_path / "run", "regression")
    truth = np.array([float(line["truth"]) for line in csv.DictReader((run / "test.csv").open())])
    text = page_of(run).text()
    assert re.search(r"Always answering the mean would be off by ([\d.]+\d)", text)
    found = float(re.search(r"Always answering the mean would be off by ([\d.]+\d)", text)[1])
    assert found == pytest.approx(truth.std(), rel=0.02)
    (run / "test.csv").unlink()
    assert "Always answering the mean would" not in page_of(run).text()


OPTIONAL = ["test.csv", "worst.json", "history.json", "config.toml", "model.safetensors"]


@pytest.mark.parametrize("missing", [*([name] for name in OPTIONAL), OPTIONAL], ids="+".join)
@pytest.mark.parametrize("kind", ["ten classes", "regression"])
def test_files_that_may_be_missing(tmp_path, monkeypatch, kind, missing):
    run = make_run(tmp_path / "run", kind, data={"rows": {"train": 900, "validation": 0, "test": 100}})
    history = json.loads((run / "history.json").read_text())
    history["columns"] = {k: v for k, v in history["columns"].items() if not k.startswith("val_")}
    write_json(run / "history.json", history)
    for name in missing:
        (run / name).unlink()
    if missing != ["model.safetensors"]:
        monkeypatch.setattr(report, "_pictures", lambda folder: [])
    page = page_of(run)
    assert page.open == []
    assert len(page.all("section")) == (7 if "worst.json" in missing else 8)
    assert "95 % interval" in page.text()
    assert "## Limits" in write_model_card(run).read_text()


@words_only
def test_summary_with_little_in_it(tmp_path):
    data = {"task": "classification", "target": "y"}
    write_json(tmp_path / "summary.json", {"data": data, "network": {}, "training": {}, "test": {}})
    page = page_of(tmp_path)
    assert page.open == []
    assert "There were no test rows" in page.text()
    assert write_model_card(tmp_path).read_text().startswith("# Model card")


def test_hostile_text_stays_text(reported):
    run = reported("hostile")
    text = (run / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.open == []
    assert not page.all("script", "b")
    assert text.count("<style") == text.count("</style>") == 1
    assert all(
        "src" not in attributes or attributes["src"].startswith("data:") for attributes in page.all("img")
    )
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    for words in HOSTILE:
        assert words in page.text()
    card = write_model_card(run).read_text()
    outside = re.sub(r"(`{3,}).*?\1", "", card, flags=re.DOTALL)
    assert "<" not in outside
    for line in outside.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6)


@words_only
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("summary.json", "{", "summary.json' is damaged: "),
        ("summary.json", "[]", "summary.json' is damaged: expected a JSON object"),
        ("summary.json", "{}", "summary.json' is damaged: it has no part 'data'"),
        ("worst.json", "{}", "worst.json' is damaged: expected a JSON array"),
        ("history.json", "nothing", "history.json' is damaged: "),
        ("test.csv", "row,truth,prediction\n1", "test.csv' is damaged: "),
    ],
)
@pytest.mark.parametrize("write", [write_report, write_model_card])
def test_damaged_files(tmp_path, name, content, message, write):
    run = make_run(tmp_path / "run")
    (run / name).write_text(content)
    with pytest.raises(ValueError, match=re.escape(message)):
        write(run)
    assert not (run / "report.html").exists()


@words_only
@pytest.mark.parametrize("write", [write_report, write_model_card])
def test_no_run(tmp_path, write):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"there is no summary.json in .*: expected the folder of a finished run"
    ):
        write(tmp_path)


@words_only
def test_damaged_parts_of_the_summary(tmp_path):
    run = make_run(tmp_path / "run", data={"task": "clustering"})
    with pytest.raises(ValueError, match="its task is 'clustering'"):
        write_report(run)
    run = make_run(tmp_path / "run", test={"accuracy": {}})
    with pytest.raises(ValueError, match="test score 'accuracy' has no value"):
        write_report(run)


@words_only
def test_another_path(tmp_path):
    run = make_run(tmp_path / "run")
    path = write_report(run, tmp_path / "elsewhere.html")
    assert path == tmp_path / "elsewhere.html"
    assert not (run / "report.html").exists()
    assert not [link for link in Page(path.read_text()).all("a") if not link["href"].startswith("#")]


@words_only
def test_overfitting_is_told(tmp_path):
    run = make_run(tmp_path / "run", training={"best_epoch": None, "stop_reason": "epochs"})
    history = json.loads((run / "history.json").read_text())
    history["columns"]["val_cost"] = [1 + (k - 5) ** 2 for k in range(20)]
    write_json(run / "history.json", history)
    assert "lowest in epoch 6 and has risen since" in page_of(run).text()
    history["columns"]["val_cost"] = [20 - k for k in range(20)]
    write_json(run / "history.json", history)
    assert "more epochs may help" in page_of(run).text()


# Colours.


def colors() -> dict[str, dict[str, str]]:
    """Custom properties by scheme."""
    css = TEMPLATE.read_text()
    blocks = {
        "light": re.search(r"^:root \{(.*?)^\}", css, re.DOTALL | re.MULTILINE),
        "dark": re.search(r"prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}", css, re.DOTALL),
        "print": re.search(r"@media print \{\s*:root \{(.*?)\}", css, re.DOTALL),
    }
    return {
        scheme: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block[1])) for scheme, block in blocks.items()
    }


def luminance(color: str) -> float:
    """Relative, as WCAG 2 has it."""
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot(parts, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_known_colours():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_contrast(scheme):
    from fastnn.plots import COLORS

    found = colors()
    assert set(found[scheme]) == set(found["light"])  # each scheme sets them all
    color = found[scheme]
    for ink in ("ink", "muted", "accent"):
        for page in ("page", "card"):
            assert contrast(color[ink], color[page]) >= 4.5, (ink, page)
    assert contrast(color["warning-ink"], color["warning-page"]) >= 4.5
    assert contrast(color["bar"], color["page"]) >= 3
    for line in COLORS[:4]:  # of drawings, which have the same in both schemes
        assert contrast(line, color["page"]) >= 3, line


def test_no_colour_beside_the_properties():
    css = re.search("<style>(.*?)</style>", TEMPLATE.read_text(), re.DOTALL)[1]
    rest = re.sub(r"--[\w-]+: #[0-9a-f]{6};", "", css)
    assert set(re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(|hsl", rest)) <= {"#ffffff"}  # behind transparent images


# A browser.


def browse(*options: str) -> subprocess.CompletedProcess:
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--enable-logging=stderr", "--v=0", "--hide-scrollbars", "--no-first-run", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Opens a file with options, in a profile of its own."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    profile = tmp_path_factory.mktemp("profile")

    def call(path: Path, *options: str) -> str:
        done = browse(f"--user-data-dir={profile}", *options, path.as_uri())
        assert done.returncode == 0, done.stderr
        assert "CONSOLE" not in done.stderr, done.stderr
        return done.stdout

    return call


@pytest.mark.parametrize("kind", ["images", "regression", "hostile"])
def test_browser_shows_the_charts(browser, reported, kind):
    path = reported(kind) / "report.html"
    page = Page(re.sub("<!DOCTYPE html>", "", browser(path, "--dump-dom")))
    assert len(page.all("svg")) == len(page.all("figure")) == len(Page(path.read_text()).all("figure"))
    assert not page.all("script", "b")
    assert all(len(page.all(tag)) > 0 for tag in ("path", "text"))


def test_browser_reports_what_goes_wrong(browser, tmp_path):
    """Else the tests above would see nothing."""
    page = tmp_path / "wrong.html"
    page.write_text("<!doctype html><title>wrong</title><script>nonsense()</script>")
    with pytest.raises(AssertionError, match="CONSOLE"):
        browser(page, "--screenshot=" + str(tmp_path / "wrong.png"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_screenshots(browser, reported, tmp_path, scheme):
    """The page has the colours of the scheme that the reader's system asks for."""
    from matplotlib.image import imread

    path = reported("ten classes") / "report.html"
    picture = tmp_path / "phone.png"
    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    browser(path, *dark, "--window-size=500,900", f"--screenshot={picture}")
    corner = (255 * imread(picture)[2, 2, :3]).round().astype(int)
    expected = colors()[scheme]["page"]
    assert "#" + "".join(f"{part:02x}" for part in corner) == expected


@pytest.mark.parametrize("kind", ["ten classes", "regression", "text", "hostile"])
def test_a_phone_shows_the_page_without_scrolling_sideways(browser, reported, tmp_path, kind):
    """Tables and code may scroll within themselves, the page may not; nor may a picture be cut off."""
    script = """
    const page = document.querySelector("iframe").contentDocument
    const cut = [...page.querySelectorAll("svg, img, h1, h2, h3, p, dd")].filter(
        element => element.getBoundingClientRect().right > 360 && !element.closest(".scroll:not(.drawing)"))
    document.title = page.documentElement.scrollWidth + " " + cut.map(element => element.tagName).join(" ")
    """
    outer = tmp_path / "phone.html"
    outer.write_text(
        f'<!doctype html><title></title><iframe src="{(reported(kind) / "report.html").as_uri()}" '
        f"style=\"width: 360px; height: 640px; border: 0\" onload='{script}'></iframe>"
    )
    shown = browser(outer, "--allow-file-access-from-files", "--dump-dom")
    assert re.search("<title>(.*?)</title>", shown)[1].split() == ["360"]
