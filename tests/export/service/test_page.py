"""The page in a real browser, as people use it, with every other host out of reach."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from goodviews.export.service.service import Service

from .conftest import Running, run_service

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium on the path"),
]

# A file as a drag or the clipboard brings it.
GIVE = """async ([event, address]) => {
  const blob = await (await fetch(address)).blob();
  const transfer = new DataTransfer();
  transfer.items.add(new File([blob], 'given.jpg', {type: 'image/jpeg'}));
  const options = {bubbles: true, cancelable: true};
  const happening = event === 'paste'
    ? new ClipboardEvent('paste', {...options, clipboardData: transfer})
    : new DragEvent(event, {...options, dataTransfer: transfer});
  document.body.dispatchEvent(happening);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, running: Running) -> Iterator[Any]:
    """The page, opened; it asked no other host and raised nothing."""
    asked: list[str] = []
    errors: list[str] = []
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(running.address)
    opened.wait_for_selector(".tile")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith((running.address, "blob:", "data:"))] == []
    assert errors == []


def names(page: Any) -> list[str]:
    return [str(title) for title in page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.title)")]


def thumbnail(page: Any, path: str) -> str:
    source = page.get_attribute(f".tile[title='{path}'] img", "src")
    return str(source).replace("/thumbnails/", "/photos/")


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_photo_that_is_dropped_or_pasted_is_searched_by(page: Any, raccoon: Path, event: str):
    page.evaluate(GIVE, [event, thumbnail(page, f"raccoon/{raccoon.name}")])
    page.wait_for_selector(".score")
    assert names(page)[0] in (f"raccoon/{raccoon.name}", "raccoon/zz-copy.jpg")
    assert "given.jpg" in page.get_attribute("#photo", "alt")
    assert page.inner_text("#headline") == "Like this photo"


def test_a_chosen_photo_is_searched_by_and_its_copy_unfolds(page: Any, raccoon: Path):
    page.set_input_files("#file", raccoon)
    page.wait_for_selector(".score")
    assert len(names(page)) == 16
    page.click(".copies >> nth=0")
    assert len(names(page)) == 17
    page.uncheck("#fold")
    page.wait_for_selector(".copies", state="detached")
    assert len(names(page)) == 17


def test_a_click_on_a_result_searches_by_it_and_back_returns(page: Any, raccoon: Path):
    before = names(page)
    page.click(f".tile[title='raccoon/{raccoon.name}']")
    page.wait_for_selector(".score")
    assert names(page)[0] == "raccoon/zz-copy.jpg"
    assert "id=" in page.url
    page.reload()
    page.wait_for_selector(".score")
    assert names(page)[0] == "raccoon/zz-copy.jpg"
    page.go_back()
    page.wait_for_selector(".score", state="detached")
    assert names(page) == before


def test_a_box_searches_by_the_part_under_it_and_keys_move_it(page: Any, raccoon: Path):
    page.set_input_files("#file", raccoon)
    page.wait_for_selector(".score")
    while not page.evaluate("document.querySelector('#photo').complete"):
        page.wait_for_timeout(50)
    frame = page.locator("#frame").bounding_box()
    with page.expect_request("**/search?**") as drawn:
        page.mouse.move(frame["x"] + 0.2 * frame["width"], frame["y"] + 0.2 * frame["height"])
        page.mouse.down()
        page.mouse.move(frame["x"] + 0.7 * frame["width"], frame["y"] + 0.8 * frame["height"], steps=3)
        page.mouse.up()
    box = parse_qs(urlsplit(drawn.value.url).query)["box"][0].split(",")
    assert [float(share) for share in box] == pytest.approx([0.2, 0.2, 0.5, 0.6], abs=0.02)
    sync_api.expect(page.locator("#headline")).to_have_text("Like this part", timeout=60_000)
    with page.expect_request("**/search?**") as moved:
        page.focus("#box")
        page.keyboard.press("ArrowRight")
    assert moved.value.url != drawn.value.url
    page.keyboard.press("Delete")
    sync_api.expect(page.locator("#headline")).to_have_text("Like this photo", timeout=60_000)


def test_more_photos_load_as_one_scrolls(browser: Any, make_service: Callable[..., Service], mini, tmp_path: Path):
    from PIL import Image

    from goodviews.export.index.build import build

    (tmp_path / "many").mkdir()
    for number in range(120):
        Image.new("RGB", (40, 40), (2 * number, 255 - 2 * number, 90)).save(tmp_path / "many" / f"{number:03}.png")
    build(mini, tmp_path / "many", tmp_path / "index")
    with run_service(make_service(tmp_path / "index")) as running:
        page = browser.new_page(viewport={"width": 700, "height": 500})
        page.set_default_timeout(60_000)
        page.goto(running.address)
        page.wait_for_selector(".tile")
        assert len(names(page)) < 120
        while page.is_visible("#more"):
            page.evaluate("scrollTo(0, document.body.scrollHeight)")
            page.wait_for_timeout(100)
        assert len(set(names(page))) == len(names(page)) == 120
        page.close()


def test_keys_alone_reach_a_photo_search_by_it_and_show_it(page: Any):
    page.focus(".tile")
    page.keyboard.press("ArrowRight")
    second = names(page)[1]
    assert page.evaluate("document.activeElement.title") == second
    page.keyboard.press("i")
    page.wait_for_selector("#large[open]")
    assert page.inner_text("#large-name") == second
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_selector(".score")
    assert page.evaluate("document.activeElement.id") == "headline"


def test_every_control_has_a_name_for_screen_readers(page: Any, raccoon: Path):
    page.set_input_files("#file", raccoon)
    page.wait_for_selector(".score")
    nameless = """() => [...document.querySelectorAll('button, select, input:not([type=file]), img, a')].filter(one =>
      !(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim() || one.hasAttribute('alt')))
      .map(one => one.outerHTML)"""
    assert page.evaluate(nameless) == []


def test_a_filter_keeps_one_class_and_the_map_leads_to_a_search(page: Any):
    page.click("#labels .chip:has-text('blood')")
    sync_api.expect(page.locator(".tile")).to_have_count(4, timeout=60_000)
    assert {name.partition("/")[0] for name in names(page)} == {"blood"}
    page.click("#to-map")
    page.wait_for_selector(".pin")
    page.locator(".pin").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".score")
    assert page.is_visible("#photos-view")


def test_a_phone_shows_everything_in_its_width(browser: Any, running: Running):
    page = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    page.set_default_timeout(60_000)
    page.goto(running.address)
    page.wait_for_selector(".tile")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 27)"
    page.close()


def test_the_page_asks_for_the_token_and_opens_with_it(
    browser: Any, make_service: Callable[..., Service], index_folder: Path
):
    with run_service(make_service(index_folder, token="a secret")) as running:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(running.address)
        page.fill("#token", "a guess")
        page.click("button")
        assert "not the token" in page.inner_text("#problem")
        page.fill("#token", "a secret")
        page.click("button")
        page.wait_for_selector(".tile")
        page.close()


def test_what_cannot_be_searched_by_is_answered_in_a_sentence(page: Any, tmp_path: Path):
    (tmp_path / "notes.jpg").write_text("no photo")
    page.set_input_files("#file", tmp_path / "notes.jpg")
    page.wait_for_selector("#problem:not([hidden])")
    assert "not an image" in page.inner_text("#problem")
    assert page.is_visible("#another")
