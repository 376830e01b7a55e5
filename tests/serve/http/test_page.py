"""The page at / in headless Chromium: classes, bars and heatmap of an image."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, expect

from serve.models import Source
from serve.overlay import heat_colours, overlay

# Starting the browser takes seconds.
pytestmark = pytest.mark.slow

# Simulates dropping a file on the page.
DROP = """([content, name, kind]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type: kind }));
  const options = { dataTransfer: data, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new DragEvent("dragover", options));
  document.body.dispatchEvent(new DragEvent("drop", options));
}"""
PASTE = DROP.replace('new DragEvent("dragover", options)', 'new Event("none")').replace(
    'new DragEvent("drop", options)',
    'new ClipboardEvent("paste", { clipboardData: data, bubbles: true })',
)


class Visit:
    """A page in its own browser, with its requests and console messages.

    Attributes:
        page: The page.
        complaints: Errors and warnings of the console, and exceptions.
        requests: All that it asked any server for.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[Request] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request))

    def drop(self, content: bytes, name: str = "picture.png", *, how: str = DROP) -> None:
        kind = "image/png" if name.endswith("png") else ""
        self.page.evaluate(how, [base64.b64encode(content).decode(), name, kind])

    def classes(self) -> list[tuple[str, str]]:
        """Return the label and the percentage of each row, once there are any."""
        expect(self.page.locator("#classes li").first).to_be_visible()
        rows = self.page.locator("#classes li").all()
        return [
            (row.locator(".label").inner_text(), row.locator(".share").inner_text()) for row in rows
        ]

    def canvas(self, name: str) -> np.ndarray:
        url = self.page.locator(f"#{name}").evaluate("canvas => canvas.toDataURL()")
        with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
            return np.array(image.convert("RGBA"))


@pytest.fixture
def visit(browser: Browser, run_server: Callable[..., Any]) -> Iterator[Callable[..., Visit]]:
    """Opens the page at a port; further arguments are those of a browser context.

    Needs `run_server` so that it leaves before the server does, which would wait for it.
    """
    contexts = []

    def go(port: int, **options: Any) -> Visit:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(20_000)
        visit = Visit(contexts[-1].new_page())
        visit.page.goto(f"http://127.0.0.1:{port}/")
        return visit

    yield go
    for context in contexts:
        context.close()


def red_over_blue() -> bytes:
    """Red except the lower right corner: class "a", with the hottest region at the top."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = np.linspace(255, 85, 8)[:, np.newaxis]
    pixels[4:, 4:] = (0, 0, 60)
    with io.BytesIO() as file:
        Image.fromarray(pixels).save(file, "PNG")
        return file.getvalue()


def test_a_dropped_picture_is_shown_with_its_classes_and_heatmap(
    visit: Callable[..., Visit],
    run_server: Callable[..., Any],
    write_model: Callable[..., Path],
) -> None:
    labels = ("a", "b", "c", "d", "e", "f")
    path = write_model(labels=labels, metadata={"test_accuracy": "0.9312"})
    server = run_server(Source(path))
    seen = visit(server.port)
    expect(seen.page.locator("#status")).to_have_text("The prediction will appear here.")
    facts = seen.page.locator("#facts").inner_text().split("\n")
    assert facts == [
        *("Network", "mean_colour", "Classes", "6", "Input", "8 × 8 px"),
        *("Heatmap", "Grad-CAM, blocks", "Precision", "fp32", "Device", "CPU"),
        *("Test accuracy", "93.1%"),
    ]
    expect(seen.page.locator("#chooser")).to_be_hidden()

    content = red_over_blue()
    seen.drop(content)
    image = np.array(Image.open(io.BytesIO(content)))
    logits = np.zeros(6)
    logits[:3] = image.mean((0, 1)) / 255
    shares = np.exp(logits) / np.exp(logits).sum()
    order = np.argsort(-shares, kind="stable")[:5]
    assert seen.classes() == [(labels[i], f"{100 * shares[i]:.1f}%") for i in order]
    widths = [
        bar.evaluate("bar => parseFloat(bar.style.width)")
        for bar in seen.page.locator("#classes .bar").all()
    ]
    assert widths == pytest.approx(100 * shares[order], abs=0.01)

    expect(seen.page.locator("#invitation")).to_be_hidden()
    shown = seen.canvas("image")
    assert shown.shape == (768, 768, 4)
    assert shown[48::96, 48::96, :3].tolist() == image.tolist()
    expect(seen.page.locator("#controls")).to_be_visible()
    blocks = image.reshape(4, 2, 4, 2, 3).mean((1, 3, 4), dtype=np.float32)
    heatmap = (blocks - blocks.min()) / (blocks.max() - blocks.min())
    coloured = overlay(np.zeros((768, 768, 3), np.uint8), heatmap, alpha=1.0)
    drawn = seen.canvas("heat")
    assert (drawn[..., 3] == 255).all()
    # Values have four digits, so a pixel may get the adjacent one of 256 colours.
    assert np.abs(drawn[..., :3].astype(int) - coloured).max() <= 4
    # They round halves differently.
    assert np.abs(seen.canvas("scale")[0, :, :3].astype(int) - heat_colours()).max() <= 1

    page = seen.page
    opacity = "heat => getComputedStyle(heat).opacity"
    assert page.locator("#heat").evaluate(opacity) == "0.6"
    page.locator("#opacity").fill("25")
    assert page.locator("#heat").evaluate(opacity) == "0.25"
    expect(page.locator("#opacity-value")).to_have_text("25%")
    page.locator("#show-heat").uncheck()
    assert page.locator("#heat").evaluate(opacity) == "0"

    assert seen.complaints == []
    own = f"http://127.0.0.1:{server.port}/"
    assert [request.url for request in seen.requests if not request.url.startswith(own)] == []
    assert [request.method for request in seen.requests].count("POST") == 1


def test_the_page_says_how_much_of_an_answer_rests_on_ticked_cues(
    visit: Callable[..., Visit],
    run_server: Callable[..., Any],
    write_model: Callable[..., Path],
    picture: Callable[..., bytes],
) -> None:
    cues = Source(write_model(ticked=(False, True, True)), "cues")
    seen = visit(run_server(cues, Source(write_model(), "plain"), max_ticked=0.5).port)
    sentence = seen.page.locator("#rests-on")
    expect(seen.page.locator("#facts")).to_contain_text("3, 2 ticked")
    expect(sentence).to_be_hidden()
    for colour, words, is_marked in (
        ("#1b4900", "73% of this answer rests on cue 2 (ticked: not the object).", True),
        ("#3c1e0a", "40% of this answer rests on cues 2 and 3 (ticked: not the object).", False),
        ("#c80000", "0% of this answer rests on cues that are ticked: not the object.", False),
    ):
        seen.drop(picture(colour))
        expect(sentence).to_have_text(words + " This is above the server's limit." * is_marked)
        assert ("marked" in (sentence.get_attribute("class") or "")) == is_marked
    seen.page.locator("#model").select_option("plain")
    expect(seen.page.locator("#classes li").first).to_be_visible()
    expect(sentence).to_be_hidden()
    expect(seen.page.locator("#facts")).not_to_contain_text("ticked")
    assert seen.complaints == []


def test_the_heatmap_lies_exactly_over_a_picture_of_any_shape(
    visit: Callable[..., Visit], run_server: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    seen = visit(run_server().port, viewport={"width": 1200, "height": 800})
    for size in ((2000, 500), (300, 900), (1, 1)):
        seen.drop(picture("red", size))
        assert seen.classes()[0][0] == "a"
        image, heat = [seen.page.locator(name).bounding_box() for name in ("#image", "#heat")]
        assert image and heat
        assert image == pytest.approx(heat, abs=0.5)
        assert image["width"] / image["height"] == pytest.approx(size[0] / size[1], rel=0.02)
        assert image["height"] <= 0.75 * 800 + 1


@pytest.mark.parametrize("way", ["choose", "paste"])
def test_a_picture_can_be_chosen_by_keyboard_or_pasted(
    visit: Callable[..., Visit],
    run_server: Callable[..., Any],
    picture: Callable[..., bytes],
    way: str,
) -> None:
    seen = visit(run_server().port)
    expect(seen.page.locator("#status")).to_have_text("The prediction will appear here.")
    if way == "paste":
        seen.drop(picture("blue"), how=PASTE)
    else:
        # Choosers are intercepted from here on, not only once the key has been pressed.
        seen.page.on("filechooser", lambda _: None)
        seen.page.keyboard.press("Tab")
        expect(seen.page.locator("#file")).to_be_focused()
        with seen.page.expect_file_chooser() as chooser:
            seen.page.keyboard.press("Space")
        chooser.value.set_files(
            {"name": "sky.png", "mimeType": "image/png", "buffer": picture("blue")}
        )
        expect(seen.page.locator("#name")).to_have_text("sky.png")
    assert seen.classes()[0][0] == "c"
    assert seen.complaints == []


def test_what_is_no_picture_is_said_in_words_and_the_next_one_works(
    visit: Callable[..., Visit], run_server: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    seen = visit(run_server(max_body=10_000).port)
    expect(seen.page.locator("#status")).to_have_text("The prediction will appear here.")
    for content, words in (
        (b"hello", "not an image of a known format"),
        (bytes(20_000), "at most 10,000 bytes"),
    ):
        seen.drop(content)
        expect(seen.page.locator("#status.error")).to_contain_text(words)
        expect(seen.page.locator("#unshown")).to_be_visible()
        expect(seen.page.locator("#classes")).to_be_hidden()
        expect(seen.page.locator("#controls")).to_be_hidden()
    # The browser logs each status above 399.
    assert [text for text in seen.complaints if "server responded with a status" not in text] == []
    seen.drop(picture("lime"))
    assert seen.classes()[0][0] == "b"
    expect(seen.page.locator("#status")).to_be_empty()
    expect(seen.page.locator("#unshown")).to_be_hidden()


def test_a_format_that_the_browser_does_not_know_is_answered_all_the_same(
    visit: Callable[..., Visit], run_server: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    seen = visit(run_server().port)
    seen.drop(picture("blue", kind="TIFF"), "scan.tif")
    assert seen.classes()[0][0] == "c"
    expect(seen.page.locator("#unshown")).to_have_text("This browser cannot display the image.")
    assert seen.complaints == []


def test_another_model_is_asked_for_the_same_picture(
    visit: Callable[..., Visit],
    run_server: Callable[..., Any],
    write_model: Callable[..., Path],
    picture: Callable[..., bytes],
) -> None:
    plain = write_model(labels=("x", "y", "z"), explain="none")
    server = run_server(Source(write_model(), "first"), Source(plain, "second"))
    seen = visit(server.port)
    seen.drop(picture("red"))
    assert seen.classes()[0][0] == "a"
    seen.page.locator("#model").select_option("second")
    expect(seen.page.locator("#classes .label").first).to_have_text("x")
    expect(seen.page.locator("#controls")).to_be_hidden()
    expect(seen.page.locator("#facts")).to_contain_text("none in this file")
    expect(seen.page.locator("#facts")).to_contain_text("unknown")
    assert not seen.canvas("heat").any()
    assert seen.complaints == []


def test_the_key_is_asked_for_and_kept_for_the_tab(
    visit: Callable[..., Visit], run_server: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    seen = visit(run_server(api_key="sesame").port)
    page = seen.page
    expect(page.locator("#status:not(.error)")).to_have_text("The server requires an API key.")
    expect(page.locator("#key")).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#status.error")).to_have_text("The server rejected this API key.")
    page.locator("#key").fill("sesame")
    page.keyboard.press("Enter")
    expect(page.locator("#key-form")).to_be_hidden()
    seen.drop(picture("red"))
    assert seen.classes()[0][0] == "a"
    page.reload()
    expect(page.locator("#status")).to_have_text("The prediction will appear here.")
    assert "sesame" not in page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_a_server_that_went_away_is_said_in_words(
    visit: Callable[..., Visit], run_server: Callable[..., Any], picture: Callable[..., bytes]
) -> None:
    server = run_server()
    seen = visit(server.port)
    expect(seen.page.locator("#status")).to_have_text("The prediction will appear here.")
    server.stop()
    server.thread.join(30)
    seen.drop(picture("red"))
    expect(seen.page.locator("#status.error")).to_have_text(
        "The server cannot be reached. Is it still running?"
    )


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 320)])
def test_nothing_sticks_out_and_all_text_can_be_read(
    visit: Callable[..., Visit],
    run_server: Callable[..., Any],
    write_model: Callable[..., Path],
    picture: Callable[..., bytes],
    scheme: str,
    width: int,
) -> None:
    long = "a class with a name that goes on and on " + "w" * 60
    paths = [write_model(labels=(long, "b", "c"), ticked=(True, True, True)), write_model()]
    sources = [Source(path, f"m{number}") for number, path in enumerate(paths)]
    server = run_server(*sources, max_ticked=0.5)
    seen = visit(server.port, color_scheme=scheme, viewport={"width": width, "height": 800})
    seen.drop(picture("red"), "a file with a very long name " * 5 + ".png")
    assert seen.classes()[0][0] == long
    expect(seen.page.locator("#controls")).to_be_visible()
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    names = ("h1", "header p", ".label", "#name", "#facts dt", "#facts dd", ".button", ".hint")
    expect(seen.page.locator("#rests-on.marked")).to_be_visible()
    for name in (*names, "#rests-on"):
        text, ground = (
            seen.page.locator(name)
            .locator("visible=true")
            .first.evaluate(
                """(shown) => {
              const grounds = [];
              for (let at = shown; at; at = at.parentElement) {
                grounds.push(getComputedStyle(at).backgroundColor);
              }
              const opaque = grounds.find((colour) => colour !== "rgba(0, 0, 0, 0)");
              return [getComputedStyle(shown).color, opaque];
            }"""
            )
        )
        assert contrast(text, ground) >= 4.5, (name, text, ground)
    is_dark = luminance(seen.page.locator("body").evaluate("b => getComputedStyle(b).color")) > 0.5
    assert is_dark == (scheme == "dark")
    seen.drop(b"hello")
    error = seen.page.locator("#status.error")
    expect(error).to_be_visible()
    style = error.evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    assert contrast(*style) >= 4.5


def contrast(text: str, ground: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2); body text needs 4.5."""
    low, high = sorted([luminance(text), luminance(ground)])
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    channels = np.array([int(number) for number in re.findall(r"\d+", colour)[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
