"""The live page in headless Chromium, from before the start of a run to after its end."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

# Starting the browser takes seconds.
pytestmark = pytest.mark.slow


class Visit:
    """A page in its own browser context, with its requests and console messages.

    Attributes:
        page: The page.
        complaints: Errors and warnings of the console, exceptions, and requests of other servers.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._check(request.url, url))
        page.goto(url)

    def _check(self, asked: str, url: str) -> None:
        if not asked.startswith(url):
            self.complaints.append(asked)

    def expect(self, name: str, text: str | re.Pattern[str]) -> None:
        """Wait until an element has this text."""
        expect(self.page.locator(name)).to_have_text(text)

    def points(self, curve: str) -> list[tuple[float, float]]:
        """Return the points of the validation line of a chart in pixels."""
        path = self.page.locator(f"#{curve} path.line.validation").get_attribute("d") or ""
        found = re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", path)
        return [(float(x), float(y)) for x, y in found]

    def facts(self, place: str) -> dict[str, str]:
        """Return the content of a description list."""
        words = self.page.locator(f"#{place}").inner_text().replace("\u00a0", " ").split("\n")
        return dict(zip(words[::2], words[1::2], strict=True))


@pytest.fixture
def visit(browser: Browser, serve: Callable[..., object]) -> Iterator[Callable[..., Visit]]:
    """Return a function that opens the page of a server, with options of the browser context."""
    contexts = []

    def go(port: int, **options: object) -> Visit:
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(20_000)
        expect.set_options(timeout=20_000)
        return Visit(contexts[-1].new_page(), f"http://127.0.0.1:{port}/")

    yield go
    for context in contexts:
        context.close()
    expect.set_options(timeout=5_000)


def test_a_run_is_followed_from_before_its_begin_to_after_its_end(run, serve, visit) -> None:
    server = serve()
    seen = visit(server.port)
    page = seen.page
    seen.expect("#status", "No training run has started in this folder yet. Waiting for one.")
    expect(page).to_have_title("waiting – first")
    for name in ("#bar", "#curves", "#errors", "#proxies", "#settings", "#problems", "#trouble"):
        expect(page.locator(name)).to_be_hidden()

    run.begin(data={"source": "photos"}, proxy={"method": "cam"}, seed=7)
    run.train(1)
    seen.expect("#status", "Training: 1 of 4 epochs done.")
    seen.expect("#what", "small_cnn · photos · proxies: cam · seed 7")
    expect(page.locator("#proxies")).to_be_hidden()
    assert len(seen.points("accuracy")) == 1

    run.train(2)
    red = run.draw(2)
    seen.expect("#status", "Training: 2 of 4 epochs done.")
    expect(page).to_have_title("2 of 4 – first")
    (x1, y1), (x2, y2) = seen.points("accuracy")
    # From 5% to 10% on a labelled scale, over two of four epochs.
    lines = page.locator("#accuracy line.grid").evaluate_all(
        "all => all.map((l) => +l.getAttribute('y1'))"
    )
    assert (y1 - y2) / (max(lines) - min(lines)) == pytest.approx(0.05, abs=1e-3)
    right = float(page.locator("#accuracy line.grid").first.get_attribute("x2"))
    assert (x2 - x1) / (right - x1) == pytest.approx(1 / 3, abs=1e-3)
    assert page.locator("#accuracy line.mark").count() == 1
    facts = seen.facts("facts")
    assert re.fullmatch("about [2-4] s", facts.pop("Time left"))
    assert facts == {
        **{"Epoch": "2 of 4", "Validation accuracy": "10.0%", "Best": "10.0% (epoch 2)"},
    }
    assert seen.facts("others") == {"Images with a proxy": "5", "Chosen for a proxy": "5"}
    # The classes with the highest error rates come first.
    rows = page.locator("#classes tr")
    expect(rows).to_have_text(["cat2 of 4 (50%)", "dog1 of 2 (50%)"])
    picture = page.locator("#sheet-picture")
    expect(picture).to_be_visible()
    assert picture.evaluate("i => [i.naturalWidth, i.naturalHeight]") == [16, 6]
    assert page.request.get(picture.evaluate("i => i.src")).body() == red

    # A chosen epoch stays while others finish.
    page.locator("#epoch").fill("1")
    expect(rows).to_have_text(["cat3 of 4 (75%)", "dog1 of 2 (50%)"])
    run.train(3)
    run.draw(3, "blue")
    seen.expect("#status", "Training: 3 of 4 epochs done.")
    seen.expect("#epoch-name", "1 of 4")
    expect(page.locator("#sheet option")).to_have_text(["after epoch 3 (newest)", "after epoch 2"])
    assert "proxies_0003" in (picture.get_attribute("src") or "")
    page.locator("#latest").click()
    seen.expect("#epoch-name", "3 of 4")
    expect(rows).to_have_text(["dog1 of 2 (50%)", "cat1 of 4 (25%)"])
    page.locator("#order").select_option("classes")
    expect(rows).to_have_text(["cat1 of 4 (25%)", "dog1 of 2 (50%)"])

    # A damaged file is reported, and the last content stays.
    (run.path / "history.csv").write_text("epoch,loss\n1\n")
    seen.expect("#problems", re.compile("Cannot read history.csv"))
    assert len(seen.points("accuracy")) == 3

    run.train(4)
    seen.expect("#status", "All 4 epochs are done. Evaluating the model.")
    expect(page.locator("#problems")).to_be_hidden()
    run.end()
    seen.expect("#status", "Finished after 4 epochs.")
    assert seen.facts("facts")["Test accuracy"] == "75.0%"
    assert page.locator("#bar").evaluate("bar => bar.value") == 1
    assert len(seen.points("loss")) == 4

    shutil.rmtree(run.path)
    seen.expect("#status", "The run in this folder has been deleted. Waiting for a new one.")
    expect(page.locator("#curves")).to_be_hidden()
    assert seen.complaints == []

    server.should_exit = True
    expect(page.locator("#trouble")).to_be_visible()
    seen.expect("#trouble", re.compile("The server does not respond"))


def test_on_a_phone_nothing_sticks_out_and_no_name_is_taken_for_a_page(run, serve, visit) -> None:
    bad = "<img src=x onerror=document.title='owned'>" + "w" * 60
    run.begin(epochs=300, model=bad, data={"source": bad})
    run.write("run.json", f'{{"{bad}": "{bad}"}}'.replace("'", "\\u0027"))
    history = "".join(f"{epoch},{1 / epoch},,{epoch % 7}\n" for epoch in range(1, 201))
    run.write("history.csv", f"epoch,loss,val_loss,{bad}\n{history}")
    counts = "".join(f"{epoch},{bad}{k},99999,5\n" for epoch in (199, 200) for k in range(30))
    run.write("val_per_class.csv", f"epoch,class,images,right\n{counts}")
    run.draw(2)
    seen = visit(serve().port, viewport={"width": 320, "height": 640}, color_scheme="dark")
    page = seen.page
    seen.expect("#status", "Training: 200 of 300 epochs done.")
    seen.expect("#what", f"{bad} · {bad} · no proxies")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.locator("#classes tr")).to_have_count(20)
    page.locator("#all-classes").click()
    expect(page.locator("#classes tr")).to_have_count(30)
    expect(page.locator("#classes th").first).to_have_text(f"{bad}0")
    expect(page.locator("#values tr")).to_have_count(201)
    expect(page.locator("#conditions-values dt")).to_have_text([bad])
    assert page.locator("img").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    # A missing value is a gap, not zero.
    assert seen.points("loss") == []
    assert seen.complaints == []
    expect(page).to_have_title("200 of 300 – first")


def test_silence_is_said_with_the_way_to_go_on(run, serve, visit) -> None:
    run.begin()
    run.train(2)
    server = serve()
    server.monitor._clock = lambda: 9e9
    seen = visit(server.port)
    seen.expect(
        "#quiet", re.compile(r"^The run has not written anything for \d+ h.*--resume --out ")
    )
    assert seen.complaints == []
