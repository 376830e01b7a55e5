"""The page contains the table, loads nothing and runs no code from the data."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from tuner.collecting.run_table import to_table
from tuner.collecting.table_formats import one_line
from tuner.collecting.table_page import to_page


class _Table(HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows = []
        self.values = []
        self.tags = []
        self._is_cell = False

    def handle_starttag(self, tag, attributes):
        if tag != "wbr":
            self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
            self.values.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
            self.values[-1].append(dict(attributes).get("data-value"))
            self._is_cell = True

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self._is_cell = False

    def handle_data(self, data):
        if self._is_cell:
            self.rows[-1][-1] += data


def _read(page):
    table = _Table()
    table.feed(page)
    return table


def test_cells_and_the_values_that_they_are_sorted_by():
    table = to_table(
        [{"name": "b", "test_accuracy": 0.98765}, {"name": "a", "test_accuracy": None}]
    )
    read = _read(to_page(table, title="Runs", description="all"))
    assert read.rows == [["name", "test accuracy (%)"], ["b", "98.8"], ["a", ""]]
    assert read.values[1:] == [["b", "0.98765"], ["a", None]]


def test_nothing_is_asked_of_other_places():
    page = to_page(to_table([{"name": "a"}]), title="Runs", description="all")
    assert "default-src 'none'" in page
    assert "http:" not in page and "https:" not in page and "src=" not in page


@given(st.text(st.sampled_from(list("<>&\"'/script ")) | st.characters(codec="utf-8")))
def test_text_stays_text(text):
    plain = _read(to_page(to_table([{"name": "a"}]), title="a", description="a"))
    read = _read(to_page(to_table([{"name": text}]), title=text, description=text))
    assert read.rows[1] == [one_line(text)]
    assert read.tags == plain.tags
