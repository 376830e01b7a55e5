"""The page in headless Chromium, on a phone and on a desktop, by mouse and by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from proxy_keras import Cues
from tests.ticking.conftest import Served, serving

# Starting the browser takes seconds.
pytestmark = pytest.mark.slow

WIDTHS = {"phone": (390, 844), "desktop": (1280, 800)}

Visit = Callable[..., Page]


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Return what the browser complains of; nothing, unless a test takes it out."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def visit(browser: Browser, complaints: list[str]) -> Iterator[Visit]:
    """Return a function that opens a page in a context of its own."""
    contexts = []

    def go(url: str, device: str = "desktop") -> Page:
        width, height = WIDTHS[device]
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture
def mixed(project, joined: Path) -> Iterator[Served]:
    """Return served cues, of which cue `mixture` is two colours joined."""
    with serving(project, joined) as served:
        yield served


def mixture_of(folder: Path) -> str:
    tree = Cues.load(folder).tree
    return next(name for name in tree.shown if tree.halves_of(name))


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the screen."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@pytest.mark.parametrize("device", WIDTHS)
def test_cues_are_ticked_by_mouse_split_and_taken_back(
    mixed: Served, visit: Visit, device: str
) -> None:
    page = visit(mixed.url, device)
    name = mixture_of(mixed.folder)
    other = "1" if name == "2" else "2"
    assert overflow(page) <= 0
    expect(page.locator("#summary")).to_have_text("Nothing is ticked.")
    expect(page.locator("#undo")).to_be_disabled()
    card = page.locator(f"#cue-{other}")
    expect(card.locator(".picture")).to_have_count(12)
    # All pictures are drawn.
    assert card.locator("img").evaluate_all("all => all.every((i) => i.naturalWidth > 0)")

    card.get_by_role("button", name="Not the object").click()
    expect(card.locator(".said").first).to_have_text("not the object")
    expect(page.locator("#summary")).to_have_text(
        re.compile("^Ticked: 1 cue, [0-9]+% of the evidence.$")
    )
    assert mixed.verdicts == {other: "not_object"}

    mixture = page.locator(f"#cue-{name}")
    expect(mixture.locator(".facts").first).to_contain_text("a mixture of two things: split it")
    mixture.get_by_role("button", name="Split in two").click()
    half = page.locator(f"#cue-{name}a")
    expect(half.locator(".picture")).to_have_count(12)
    expect(page.locator(f"#cue-{name}b .facts")).to_contain_text("of what the network looks at.")
    half.get_by_role("button", name="Not the object").click()
    expect(half).to_have_attribute("data-verdict", "not_object")
    assert mixed.verdicts == {other: "not_object", f"{name}a": "not_object"}
    assert overflow(page) <= 0

    # The same verdict again takes it back.
    card.get_by_role("button", name="Not the object").click()
    expect(card.locator(".said").first).to_have_text("")
    assert mixed.verdicts == {f"{name}a": "not_object"}
    page.reload()
    # The half with a verdict is shown again.
    expect(half).to_have_attribute("data-verdict", "not_object")
    pressed = half.get_by_role("button", name="Not the object")
    expect(pressed).to_have_attribute("aria-pressed", "true")
    for expected in ({other: "not_object", f"{name}a": "not_object"}, {other: "not_object"}, {}):
        expect(page.locator("#undo")).to_be_enabled()
        before = page.locator("#undo").get_attribute("title")
        page.locator("#undo").click()
        expect(page.locator("#undo")).not_to_have_attribute("title", before or "")
        assert mixed.verdicts == expected

    card.get_by_role("button", name="More images").click()
    expect(card.locator(".picture")).to_have_count(20)
    card.get_by_role("button", name="More images").click()
    expect(card.get_by_role("button", name="No more images")).to_be_disabled()
    assert overflow(page) <= 0


@pytest.mark.parametrize("device", WIDTHS)
def test_cues_are_ticked_by_keyboard_alone(mixed: Served, visit: Visit, device: str) -> None:
    page = visit(mixed.url, device)
    name = mixture_of(mixed.folder)
    keys, focused = page.keyboard, page.locator(":focus")
    # Undo is disabled, so the first button is that of the first cue.
    keys.press("Tab")
    expect(focused).to_have_text(re.compile("Object"))
    assert focused.evaluate("of => getComputedStyle(of).outlineWidth") == "3px"
    keys.press("1")
    expect(page.locator("#cue-1")).to_have_attribute("data-verdict", "object")
    keys.press("ArrowDown")
    expect(focused).to_have_attribute("id", "cue-2")
    assert focused.evaluate("of => getComputedStyle(of).outlineStyle") == "solid"
    keys.press("2")
    expect(page.locator("#cue-2")).to_have_attribute("data-verdict", "not_object")
    assert mixed.verdicts == {"1": "object", "2": "not_object"}
    keys.press("u")
    expect(page.locator("#cue-2")).to_have_attribute("data-verdict", "")
    keys.press("ArrowUp")
    expect(focused).to_have_attribute("id", "cue-1")
    keys.press("0")
    expect(page.locator("#cue-1")).to_have_attribute("data-verdict", "")
    assert mixed.verdicts == {}

    if name == "2":
        keys.press("ArrowDown")
    # A mixture is opened at once.
    keys.press("3")
    half = page.locator(f"#cue-{name}a")
    expect(half).to_be_visible()
    keys.press("ArrowDown")
    expect(focused).to_have_attribute("id", f"cue-{name}a")
    keys.press("2")
    expect(half).to_have_attribute("data-verdict", "not_object")
    assert mixed.verdicts == {name: "mixture", f"{name}a": "not_object"}
    keys.press("m")
    expect(half.locator(".picture")).to_have_count(24)
    keys.press("ArrowUp")
    keys.press("s")
    expect(half).to_be_hidden()
    # By the button itself, too.
    page.locator(f"#cue-{name} .verdict").first.focus()
    keys.press("Enter")
    expect(page.locator(f"#cue-{name}")).to_have_attribute("data-verdict", "object")


def test_halves_are_like_their_cue_until_they_have_a_verdict(mixed: Served, visit: Visit) -> None:
    name = mixture_of(mixed.folder)
    page = visit(mixed.url)
    card, half = page.locator(f"#cue-{name}"), page.locator(f"#cue-{name}b")
    card.get_by_role("button", name="Split in two").click()
    card.get_by_role("button", name="Not the object").first.click()
    expect(half.locator(".said")).to_have_text(f"not the object, like {name}")
    half.get_by_role("button", name="Object").first.click()
    expect(half.locator(".said")).to_have_text("the object")
    # What is said of a mixture says nothing of its halves.
    card.get_by_role("button", name="Mixture").first.click()
    expect(card.locator(".said").first).to_have_text("a mixture")
    expect(page.locator(f"#cue-{name}a .said")).to_have_text("")


def test_two_tabs_show_the_same_and_lose_nothing(mixed: Served, visit: Visit) -> None:
    first, second = visit(mixed.url), visit(mixed.url)
    first.locator("#cue-1 .verdict").first.click()
    expect(first.locator("#cue-1")).to_have_attribute("data-verdict", "object")
    second.locator("#cue-2 .verdict").first.click()
    # The answer brings what the other tab said.
    expect(second.locator("#cue-1")).to_have_attribute("data-verdict", "object")
    assert mixed.verdicts == {"1": "object", "2": "object"}


def test_an_undo_of_something_else_is_refused_and_said(
    mixed: Served, visit: Visit, complaints: list[str]
) -> None:
    page = visit(mixed.url)
    page.locator("#cue-1 .verdict").first.click()
    expect(page.locator("#undo")).to_be_enabled()
    mixed.ask("POST", "/verdict", {"cue": "2", "verdict": "object"})
    page.locator("#undo").click()
    expect(page.locator("#trouble")).to_contain_text("nothing was taken back")
    expect(page.locator("#cue-2")).to_have_attribute("data-verdict", "object")
    assert mixed.verdicts == {"1": "object", "2": "object"}
    # The browser notes the answer 409.
    assert len(complaints) == 1 and "409" in complaints.pop()


def test_a_server_that_is_gone_is_said(
    project, joined: Path, visit: Visit, complaints: list[str]
) -> None:
    with serving(project, joined) as served:
        page = visit(served.url)
        expect(page.locator("#summary")).to_have_text("Nothing is ticked.")
    page.locator("#cue-1 .verdict").first.click()
    expect(page.locator("#trouble")).to_contain_text("The server does not respond.")
    expect(page.locator("#cue-1")).to_have_attribute("data-verdict", "")
    assert complaints
    complaints.clear()


@pytest.mark.parametrize("device", WIDTHS)
def test_the_file_stands_alone(joined: Path, visit: Visit, device: str) -> None:
    page = visit((joined / "cues.html").as_uri(), device)
    name = mixture_of(joined)
    assert overflow(page) <= 0
    # A mixture is shown with its halves.
    expect(page.locator(f"#cue-{name} .cue")).to_have_count(2)
    assert page.locator("button").count() == 0
    assert page.locator("img").evaluate_all(
        "all => all.length >= 48 && all.every((i) => i.naturalWidth > 0)"
    )
