"""The report page: content, order, escaping, no external requests."""

import base64
import re

import numpy as np
import pytest
from PIL import Image

from proxy_keras.evaluating import charts, report_page
from proxy_keras.evaluating.failure_cards import failure_cards
from proxy_keras.evaluating.findings import derive_findings
from proxy_keras.evaluating.model_comparison import compare
from proxy_keras.evaluating.report_page import to_html, write_pdf
from proxy_keras.evaluating.report_parts import (
    Card,
    Cards,
    Code,
    Collapsible,
    EmbeddedImage,
    FigurePart,
    FindingsPart,
    Report,
    Section,
    StyledText,
    Table,
    Text,
)
from proxy_keras.evaluating.report_sections import build_report
from tests.evaluating.example_results import (
    heatmap_scores,
    localisation,
    results_of_answers,
    robustness,
)
from tests.evaluating.test_findings import metrics_of

LABELS = np.repeat([0, 1, 2], 10)
ANSWERS = np.where(np.arange(30) % 5 == 0, (LABELS + 1) % 3, LABELS)
NAMES = ["x" * 180, "日本の猫", "🦉 owl"]
HOSTILE = '<script>alert("x")</script>'


def whole(answers=ANSWERS, name="A", classes=None):
    objects = localisation(np.where(answers == LABELS, 0.6, 0.1), np.full(30, 0.3))
    return results_of_answers(
        LABELS,
        answers,
        heatmaps=heatmap_scores(30, objects),
        robust=robustness(answers == LABELS),
        name=name,
        classes=classes,
    )


def report_of(results, other=None):
    metrics = metrics_of(results)
    if other is not None:
        metrics["against"] = compare(results, other)
    shown, sheets = failure_cards(results, other, 8)
    return *build_report(metrics, derive_findings(metrics), shown, None), sheets


@pytest.fixture(scope="module")
def alone():
    return report_of(whole())


@pytest.fixture(scope="module")
def beside():
    return report_of(whole(), whole(LABELS, "B"))


def section(report, name):
    (found,) = [one for one in report.sections if one.id == name]
    return found


def test_failures_come_before_scores(alone):
    report, charts, sheets = alone
    assert [one.id for one in report.sections] == [
        *("findings", "failures", "classification", "calibration"),
        *("robustness", "heatmaps", "made"),
    ]
    assert set(charts) == {"confusion", "reliability", "robustness"}
    assert set(sheets) == {"worst", "outside"}
    assert report.facts == [
        ("accuracy", "80.0%"),
        ("macro F1", "0.800"),
        ("calibration error", "0.100"),
        ("corrupted accuracy", "66.7%"),
        ("heat on the object", "50%"),
    ]
    parts = section(report, "failures").parts
    assert [type(part) for part in parts] == [Text, Table, Text, Cards, Text, Cards]
    assert parts[1].rows[0] == ["cat", "dog", "2", "20%"]
    assert [line.text for line in parts[5].cards[0].lines] == [
        *("true: cat", "predicted: dog (90%)", "10% of the heat on the object"),
    ]


def test_what_was_not_measured_has_no_section():
    report, charts, sheets = report_of(results_of_answers(LABELS, LABELS))
    assert [one.id for one in report.sections] == [
        *("findings", "failures", "classification", "calibration", "made")
    ]
    assert section(report, "failures").parts == [Text("All images are classified correctly.")]
    assert len(report.facts) == 3 and sheets == {}


def test_heatmaps_without_objects_say_how_to_give_them():
    results = results_of_answers(LABELS, ANSWERS, heatmaps=heatmap_scores(30))
    parts = section(report_of(results)[0], "heatmaps").parts
    assert parts[1].rows == [
        ["deletion", "0.300", "0.500", "lower"],
        ["insertion", "0.700", "0.500", "higher"],
    ]
    assert "Give --masks or --boxes" in parts[2].text


def test_another_model_is_put_beside_after_the_failures(beside):
    report, charts, sheets = beside
    assert [one.id for one in report.sections][:3] == ["findings", "failures", "against"]
    assert "classes_against" in charts and "disagree" in sheets
    table = section(report, "against").parts[1]
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["accuracy"][:2] == ["0.800", "1.000"]
    assert cells["accuracy"][2] == StyledText("-0.200", "worse")
    # A higher loss is worse.
    assert cells["cross-entropy, nats (lower is better)"][2].tone == "worse"
    assert cells["top-5 accuracy"][2] == StyledText("+0.000", "")
    assert "- blur" in cells
    card = section(report, "against").parts[-1].cards[0]
    assert [(line.text, line.tone) for line in card.lines] == [
        ("true: cat", ""),
        ("this: dog (90%)", "worse"),
        ("other: cat (90%)", "better"),
    ]


def test_the_page_holds_all_and_asks_for_nothing(beside):
    html = to_html(beside[0])
    assert "<script" not in html
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    sources = re.findall(r'(?:src|href)="([^"]{0,40})', html)
    assert sources and all(one.startswith(("data:image/", "#")) for one in sources)
    assert not re.search(r"url\((?!data:)|@import|https?://(?!www\.w3\.org)", html)
    targets = set(re.findall(r'id="([^"]+)"', html))
    links = re.findall(r'href="#([^"]+)"', html)
    assert links and set(links) <= targets
    assert all(re.findall(r'<img [^>]*alt="([^"]*)"', html))


def test_names_are_shown_and_not_run():
    html = to_html(report_of(whole(name=HOSTILE, classes=[HOSTILE, "b", "c"]))[0])
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") > 5


def test_names_without_end_leave_the_page_its_width(browser, tmp_path):
    named = whole(name="m" * 180, classes=NAMES)
    report, _, _ = report_of(named, whole(LABELS, "o" * 180, NAMES))
    (tmp_path / "report.html").write_text(to_html(report), encoding="utf-8")
    page = browser.new_page()
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        page.goto((tmp_path / "report.html").as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # No table is wider than its container.
        tables = "[...document.querySelectorAll('.table')]"
        assert page.evaluate(f"{tables}.every(one => one.scrollWidth <= one.clientWidth)")
    page.close()


def test_charts_leave_names_of_any_script_to_the_fonts_of_the_browser():
    # Warnings are errors: there is no warning about missing glyphs.
    picture = EmbeddedImage.from_figure(
        charts.differences(NAMES, np.zeros(3), np.ones([3, 2]), ""), "x"
    )
    svg = base64.b64decode(picture.uri.partition(",")[2]).decode()
    assert ">日本の猫</text>" in svg and ">🦉 owl</text>" in svg
    assert f">{'x' * 23}…</text>" in svg


def test_every_kind_of_part_reaches_the_page():
    picture = EmbeddedImage.from_array(np.zeros([4, 4, 3], np.uint8), "a picture")
    table = Table(["h0", "h1"], [["cell", StyledText("7", "better")]], numeric=(1,))
    parts = [
        Text("a text"),
        table,
        Cards([Card([picture], [StyledText("a line", "worse")])], is_wide=True),
        FigurePart(picture, "a caption", is_sheet=True),
        Code("a --command"),
        Collapsible("a summary", table=table),
        Collapsible("another", text="a long text"),
        FindingsPart(derive_findings(metrics_of(results_of_answers(LABELS, LABELS)))),
    ]
    html = to_html(Report("T", "S", [("fact", "1")], [Section("s", "Title", parts)]))
    for words in (
        *("<p>a text</p>", "<th>h0</th>", '<td class="n better">7</td>'),
        *('<ul class="cards wide">', '<div class="worse">a line</div>', '<figure class="sheet">'),
        *("<figcaption>a caption</figcaption>", "<pre>a --command</pre>"),
        *(
            "<summary>a summary</summary>",
            "<pre>a long text</pre>",
            "[classification.accuracy = 1]",
        ),
        *('class="pixels"', "<b>1</b>fact", '<section id="s">'),
    ):
        assert words in html, words


def test_small_pictures_keep_their_pixels():
    small = EmbeddedImage.from_array(np.zeros([96, 96, 3], np.uint8), "x")
    large = EmbeddedImage.from_array(np.zeros([97, 97, 3], np.uint8), "x")
    assert small.is_small and small.uri.startswith("data:image/png;base64,")
    assert not large.is_small and large.uri.startswith("data:image/jpeg;base64,")


@pytest.mark.slow
def test_the_same_numbers_make_the_same_page(alone):
    assert to_html(report_of(whole())[0]) == to_html(alone[0])


@pytest.mark.slow
def test_the_page_becomes_paper(alone, tmp_path):
    page, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text(to_html(alone[0]))
    write_pdf(page, paper, report_page.find_browser())
    content = paper.read_bytes()
    assert content.startswith(b"%PDF-") and len(content) > 20_000


def test_a_browser_that_fails_is_told(tmp_path, monkeypatch):
    page = tmp_path / "report.html"
    page.write_text("x")
    with pytest.raises(RuntimeError, match=r"/bin/false could not print .*report\.html"):
        write_pdf(page, tmp_path / "report.pdf", "/bin/false")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="apt install chromium"):
        report_page.find_browser()


def test_sheets_show_the_images_of_their_cards(alone, tmp_path):
    _, _, sheets = alone
    sheets["worst"].savefig(tmp_path / "worst.png")
    with Image.open(tmp_path / "worst.png") as shown:
        assert shown.size[0] > 100 and shown.size[1] > 6 * 150
