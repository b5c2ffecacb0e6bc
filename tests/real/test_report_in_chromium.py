"""The page of `report` in a real browser: it asks for nothing, runs nothing, fits all widths, is read and printed."""

import os
import time

import pytest
from helpers import chromium, day, hostile
from helpers.near import Near
from helpers.queue import raw

from queuectl_lib import times

pytestmark = pytest.mark.skipif(chromium.PROGRAM is None, reason="there is no chromium here")
WIDTHS = (400, 1000, 1600)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = chromium.Chromium(str(tmp_path_factory.mktemp("chromium") / "profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """By name the path of a page: of no queue, of one with few jobs, of a day, of hostile texts, and shared."""
    found, root = {}, tmp_path_factory.mktemp("pages")
    for name, jobs, options in (("empty", 0, []), ("few", 40, []), ("day", 4000, []), ("shared", 300, ["--share"])):
        home = Near(str(root / name))
        os.mkdir(home.path, 0o700)
        if jobs:
            day.fill(home.queue, jobs, time.time())
        if name == "day":
            shout(home)
        found[name] = str(root / name) + ".html"
        home.run("report", "-o", found[name], *options)
    return found


def shout(home):
    """Hostile texts where a page shows texts: in groups, outputs, names and workers."""
    now = times.utc_text(time.time() - 60)
    with raw(home.queue) as connection:
        job = "INSERT INTO jobs (id, command, state, max_retries, cwd, created_at, updated_at, finished_at, runs, name,"
        job += " signature) VALUES (?, ?, 'dead', 3, '/', ?, ?, ?, 1, ?, ?)"
        attempt = "INSERT INTO attempts (job, number, outcome, started_at, finished_at, signal, worker, stderr_bytes,"
        attempt += " stderr) VALUES (last_insert_rowid(), 1, 'failed', ?, ?, ?, ?, ?, ?)"
        for place, text in enumerate(hostile.STRINGS):
            text = text.encode("utf-8", "replace").decode().replace("\0", "")
            connection.execute(job, ("%d%s" % (place, text), text, now, now, now, text if place % 2 else None, text))
            data = text.encode()
            connection.execute(attempt, (now, now, text, text, len(data), data))
            connection.execute("INSERT INTO errors VALUES (?, ?, ?, ?, 1)", (text, text, now, now))


# What goes over the edge of the page; what of a plot lies outside of it, or on other text of it.
OVER = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
WRONG = """
(() => {
  const wrong = [];
  const meet = (one, other, by) => one.left < other.right - by && other.left < one.right - by &&
    one.top < other.bottom - 2 && other.top < one.bottom - 2;
  for (const plot of document.querySelectorAll("svg.plot")) {
    const edge = plot.getBoundingClientRect(), seen = [];
    for (const text of plot.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (!box.width) continue;
      const outside = box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 2 ||
        box.bottom > edge.bottom + 1;
      if (outside) wrong.push("outside: " + text.textContent);
      for (const [other, words] of seen)
        if (meet(box, other, 0))
          wrong.push(text.textContent + " on " + words);
      seen.push([box, text.textContent]);
    }
  }
  const boxes = [...document.querySelectorAll("figure, section, header, footer")].map(
    one => [one.tagName, one.getBoundingClientRect()]);
  boxes.forEach(([name, box], place) => boxes.slice(place + 1).forEach(([other, that]) => {
    if (meet(box, that, 1))
      wrong.push(name + " on " + other);
  }));
  return wrong;
})()
"""
# First cells of tables that are narrower than a short word; numbers of a list that do not stand on the page.
NARROW = """
[...document.querySelectorAll("tbody td:first-child:not(:only-child)")].filter(
  one => one.offsetWidth && one.offsetWidth < 100).length
"""
NUMBERS = """
(() => {
  const list = document.querySelector("ol.failures");
  if (!list) return 0;
  const size = parseFloat(getComputedStyle(list).fontSize);
  return Math.max(0, 2.1 * size - parseFloat(getComputedStyle(list).paddingLeft));
})()
"""
CONTRAST = """
(() => {
  const light = text => {
    const parts = text.match(/[0-9.]+/g).slice(0, 3).map(Number).map(one => one / 255).map(
      one => one <= 0.03928 ? one / 12.92 : Math.pow((one + 0.055) / 1.055, 2.4));
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = light(getComputedStyle(document.documentElement).backgroundColor);
  return Math.min(...[...document.querySelectorAll("p, li, td, th, summary, footer, svg.plot text")].map(one => {
    const style = getComputedStyle(one), text = light(one.closest("svg") ? style.fill : style.color);
    return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
  }));
})()
"""


@pytest.mark.parametrize("name", ["empty", "few", "day", "shared"])
def test_a_page_asks_for_nothing_runs_nothing_and_fits_every_width(browser, pages, name):
    for width in WIDTHS:
        for dark in (False, True):
            assert browser.open(pages[name], width, dark) == []
            assert browser.value(OVER) <= 0, width
            assert browser.value(WRONG) == [], width
            assert browser.value(CONTRAST) >= 4.5, (width, dark)
        assert browser.value(NARROW) == 0 or width > 720, "a kind or an id is cut to pieces"
        assert browser.value(NUMBERS) == 0, "20. has no room before its line"
        opened = "document.querySelectorAll('details').forEach(one => one.open = true)"
        browser.value(opened)
        assert browser.value(OVER) <= 0, width
    assert browser.value("document.scripts.length + document.links.length + document.images.length") == 0


def test_light_and_dark_are_those_of_the_reader_and_paper_is_white(browser, pages):
    grounds = []
    for dark, media in ((False, ""), (True, ""), (True, "print")):
        browser.open(pages["few"], 1000, dark, media)
        grounds.append(browser.value("getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds[0] == grounds[2] == "rgb(255, 255, 255)" and grounds[1] != grounds[0]


def test_on_paper_nothing_is_folded_and_no_plot_is_cut(browser, pages):
    browser.open(pages["day"], 1000, media="print")
    assert browser.value("[...document.querySelectorAll('details')].filter(one => one.offsetHeight).length") == 0
    styles = "[...document.querySelectorAll('figure')].map(one => getComputedStyle(one).breakInside)"
    assert set(browser.value(styles)) == {"avoid"}
    heights = "[...document.querySelectorAll('figure')].map(one => one.getBoundingClientRect().height)"
    assert max(browser.value(heights)) < 900, "higher than a page it would be cut all the same"
    browser.call("Emulation.setEmulatedMedia", media="")
    assert browser.pdf().startswith(b"%PDF")


def test_a_browser_that_does_run_scripts_is_told_not_to(browser, pages, tmp_path):
    """The second wall: what got through the door would still not run. (So the first test could fail at all.)"""
    with open(pages["few"], encoding="utf-8") as file:
        text = file.read()
    holed = text.replace("<main>", "<main><script>document.title = 'ran'</script><img src=x onerror=alert(1)>")
    path = str(tmp_path / "holed.html")
    with open(path, "w", encoding="utf-8") as file:
        file.write(holed)
    trouble = browser.open(path, 1000)
    assert trouble and browser.value("document.title") != "ran"
    without = holed.replace("Content-Security-Policy", "X-Nothing")
    with open(path, "w", encoding="utf-8") as file:
        file.write(without.replace("<img src=x onerror=alert(1)>", ""))
    browser.open(path, 1000)
    assert browser.value("document.title") == "ran"
