"""The page in a real browser, from a plain file server: searching, keys, and who is asked for what."""

import functools
import json
import shutil
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from goodviews.export.onnx.onnx_file import Export
from goodviews.export.web_page.site import export_page
from goodviews.hub import OnnxEncoder

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def served(
    exported: Export, index_folder: Path, runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    out = tmp_path_factory.mktemp("served") / "site"
    export_page(str(exported.folder), index_folder, out, onnxruntime_web=runtime)
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=out)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def asked() -> list[str]:
    """Every address that the page asks for."""
    return []


@pytest.fixture(scope="module")
def page(browser: Any, served: str, asked: list[str]) -> Any:
    opened = browser.new_page()
    opened.set_default_timeout(60_000)
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(served)
    opened.wait_for_selector("html[data-ready=true]", state="attached")
    return opened


def found(page: Any, name: str) -> list[str]:
    """The names of the results, the nearest first, once the page has searched by a photo of that name."""
    page.wait_for_selector(f"h2:text-is('Most like {name}')")
    return [button.get_attribute("title") for button in page.query_selector_all("#results button")]


def browse(page: Any) -> None:
    """Back to the whole collection."""
    page.evaluate("document.getElementById('reset').click()")
    page.wait_for_selector("h2:text-is('The collection')")


def transfer(page: Any, photo: Path) -> Any:
    """What a drop or a paste carries."""
    code = """([name, content]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, {type: "image/jpeg"}));
        return data;
    }"""
    return page.evaluate_handle(code, [photo.name, b64encode(photo.read_bytes()).decode()])


def test_a_browsers_vectors_are_those_of_onnx_encoder(
    page: Any, exported: Export, gallery: list[Path], photos: list[Path], tmp_path: Path
):
    files = [*gallery[:3], *photos[:3], *odd_photos(photos[0], tmp_path)]
    expected = OnnxEncoder(exported.folder / "model.onnx", threads=1).encode(files)
    code = """async (content) => {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        return Array.from(await goodviews.encode(new Blob([bytes])));
    }"""
    vectors = np.array([page.evaluate(code, b64encode(file.read_bytes()).decode()) for file in files])
    cosines = (vectors * expected).sum(axis=1)
    assert dict(zip([file.name for file in files], cosines)) == {
        file.name: pytest.approx(1, abs=1e-3) for file in files
    }


def odd_photos(photo: Path, folder: Path) -> list[Path]:
    """Rotated by EXIF, half transparent, grey, and a long strip."""
    with Image.open(photo) as opened:
        image = opened.convert("RGB")
    exif = Image.Exif()
    exif[274] = 6
    image.save(folder / "turned.jpg", exif=exif, quality=95)
    clear = image.copy()
    clear.putalpha(Image.linear_gradient("L").resize(image.size))
    clear.save(folder / "clear.png")
    image.convert("L").save(folder / "grey.png")
    image.resize((1301, 40)).save(folder / "strip.png")
    return [folder / name for name in ("turned.jpg", "clear.png", "grey.png", "strip.png")]


def test_picked_dropped_and_pasted_photos_find_themselves(page: Any, gallery: list[Path]):
    first, second, third = gallery[:3]
    page.set_input_files("#file", first)
    assert found(page, first.name)[0] == first.name
    page.dispatch_event("body", "drop", {"dataTransfer": transfer(page, second)})
    assert found(page, second.name)[0] == second.name
    page.evaluate("data => dispatchEvent(new ClipboardEvent('paste', {clipboardData: data}))", transfer(page, third))
    assert found(page, third.name)[0] == third.name


def test_a_click_searches_by_the_photo_and_back_goes_back(page: Any, gallery: list[Path]):
    browse(page)
    page.click(f"#results button[title='{gallery[2].name}']")
    names = found(page, gallery[2].name)
    assert len(names) == len(gallery) - 1
    assert gallery[2].name not in names
    page.click("#results button")
    found(page, names[0])
    page.go_back()
    assert found(page, gallery[2].name) == names
    browse(page)


def test_arrow_keys_walk_and_enter_searches(page: Any):
    browse(page)
    page.focus("#results button")
    page.keyboard.press("ArrowRight")
    name = page.evaluate("document.activeElement.title")
    assert name == page.get_attribute("#results li:nth-child(2) button", "title")
    page.keyboard.press("Enter")
    first = found(page, name)[0]
    assert page.evaluate("document.activeElement.title") == first


def test_what_is_no_photo_is_answered_with_a_sentence(page: Any, tmp_path: Path):
    (tmp_path / "note.txt").write_text("no photo")
    page.set_input_files("#file", tmp_path / "note.txt")
    page.wait_for_selector("#status.wrong")
    assert page.inner_text("#status") == "This browser cannot read that file as a photo; give it a JPEG, PNG or WebP."


def test_a_phone_shows_three_columns_and_nothing_beside_the_screen(browser: Any, served: str):
    context = browser.new_context(viewport={"width": 360, "height": 700}, is_mobile=True, has_touch=True)
    opened = context.new_page()
    opened.goto(served)
    opened.wait_for_selector("#results button")
    columns = opened.evaluate("getComputedStyle(document.getElementById('results')).gridTemplateColumns")
    assert len(columns.split()) == 3
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_nobody_but_the_file_server_was_asked(page: Any, asked: list[str], served: str):
    assert json.dumps(asked).count("onnxruntime") >= 3
    assert [address for address in asked if not address.startswith((served, f"blob:{served}"))] == []
