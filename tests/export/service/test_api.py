"""What programs get: rankings, vectors, lists, thumbnails, numbers."""

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.index.build import build
from goodviews.export.index.image_index import load
from goodviews.export.index.update import add
from goodviews.export.service.limits import Limits
from goodviews.export.service.service import Service
from goodviews.hub.encoder import Encoder
from goodviews.hub.web import Token

from .conftest import Running, run_service


def test_a_photo_of_the_index_finds_itself_and_its_copy_first(running: Running, raccoon: Path):
    found = running.json("POST", "/search?k=3", raccoon.read_bytes())
    first, second, third = found["matches"]
    assert {first["path"], second["path"]} == {f"raccoon/{raccoon.name}", "raccoon/zz-copy.jpg"}
    assert first["similarity"] == pytest.approx(1, abs=1e-3)
    assert third["similarity"] < 0.99
    assert first["label"] == "raccoon"


def test_copies_are_folded_into_the_result_before_them(running: Running, raccoon: Path):
    found = running.json("POST", "/search?k=17&fold=0.99", raccoon.read_bytes())["matches"]
    assert len(found) == 16
    assert len(found[0]["copies"]) == 1
    assert found[0]["copies"][0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_parts_of_a_ranking_fit_together(running: Running, raccoon: Path):
    whole = running.json("POST", "/search?k=16&fold=0.99", raccoon.read_bytes())
    paths = []
    part = running.json("POST", "/search?k=5&fold=0.99", raccoon.read_bytes())
    while True:
        paths += [match["path"] for match in part["matches"]]
        if part["next"] is None:
            break
        rest = {"query": part["query"], "offset": part["next"], "k": 5, "fold": 0.99}
        part = running.json("POST", "/search", rest)
    assert paths == [match["path"] for match in whole["matches"]]


def test_a_search_by_id_leaves_the_photo_itself_out(running: Running, raccoon: Path):
    by_photo = running.json("POST", "/search?k=1", raccoon.read_bytes())["matches"][0]
    found = running.json("POST", "/search", {"id": by_photo["id"], "k": 20})["matches"]
    assert len(found) == 16
    assert by_photo["id"] not in {match["id"] for match in found}


def test_filters_keep_a_folder_or_a_class(running: Running, raccoon: Path):
    for where in ("label=blood", "folder=blood"):
        found = running.json("POST", f"/search?k=20&{where}", raccoon.read_bytes())["matches"]
        assert {match["path"].partition("/")[0] for match in found} == {"blood"}
        assert len(found) == 4
    assert running.json("POST", "/search?label=nothing", raccoon.read_bytes())["matches"] == []


def test_a_box_searches_by_the_feature_map_under_it(running: Running, album: Path):
    left, right = (Image.open(sorted((album / name).glob("*.jpg"))[1]).convert("RGB") for name in ("raccoon", "blood"))
    pair = Image.new("RGB", (600, 300))
    pair.paste(left.resize((300, 300)), (0, 0))
    pair.paste(right.resize((300, 300)), (300, 0))
    photo = base64.b64encode(as_png(pair)).decode()
    for label, box in (("raccoon", [0, 0, 0.5, 1]), ("blood", [0.5, 0, 0.5, 1])):
        found = running.json("POST", "/search", {"photo": photo, "box": box, "k": 3})
        assert found["region"] == "feature map"
        assert [match["label"] for match in found["matches"]].count(label) >= 2


def test_vectors_equal_the_encoders(running: Running, mini: Encoder, album: Path):
    paths = sorted(album.rglob("*.jpg"))[:5]
    photos = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    answer = running.json("POST", "/embed", {"photos": photos})
    expected = mini.encode(paths)
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-5)
    assert answer["dimension"] == 256
    status, headers, body = running.ask("POST", "/embed", paths[0].read_bytes(), Accept="application/x-npy")
    assert (status, headers["content-type"]) == (200, "application/x-npy")
    np.testing.assert_allclose(np.load(io.BytesIO(body)), expected[:1], atol=1e-5)


def test_arrays_of_pixels_are_taken_as_npy(running: Running, mini: Encoder):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 50, 70, 3), dtype=np.uint8)
    stream = io.BytesIO()
    np.save(stream, pixels)
    answer = running.json("POST", "/embed", stream.getvalue(), Content_Type="application/x-npy")
    np.testing.assert_allclose(answer["vectors"], mini.encode(list(pixels)), atol=1e-5)


def test_indexes_items_and_the_map_name_the_same_photos(running: Running):
    about = running.json("GET", "/indexes")["indexes"][0]
    assert about["images"] == 17
    assert {one["name"]: one["images"] for one in about["labels"]}["raccoon"] == 5
    listed = running.json("GET", "/items?k=100")
    mapped = running.json("GET", "/map/album")
    assert [photo["id"] for photo in listed["photos"]] == mapped["ids"]
    assert all(0 <= value <= 1 for value in mapped["x"] + mapped["y"])
    shuffled = running.json("GET", "/items?k=100&seed=3")["photos"]
    assert shuffled != listed["photos"]
    assert sorted(photo["id"] for photo in shuffled) == mapped["ids"]


def test_thumbnails_are_small_jpegs_by_id(running: Running):
    photo = running.json("GET", "/items?k=1")["photos"][0]
    for path, most in ((photo["thumbnail"], 256), ("/photos/album/0", 1280)):
        status, headers, body = running.ask("GET", path)
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert max(Image.open(io.BytesIO(body)).size) <= most
    for path in ("/thumbnails/album/999", "/thumbnails/other/0", "/thumbnails/album/../../etc/passwd"):
        assert running.ask("GET", path)[0] == 404


def test_the_description_names_every_address_that_answers(running: Running):
    described = running.json("GET", "/openapi.json")
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {"/search", "/embed", "/health", "/metrics"}
    status, _, page = running.ask("GET", "/api")
    assert status == 200
    for path, methods in described["paths"].items():
        assert path.encode() in page
        for method in methods:
            status, _, _ = running.ask(method.upper(), path.replace("{index}", "album").replace("{id}", "0"))
            assert status == (400 if method == "post" else 200)


def test_metrics_count_requests_and_photos(running: Running, raccoon: Path):
    running.json("POST", "/search", raccoon.read_bytes())
    text = running.ask("GET", "/metrics")[2].decode()
    assert 'goodviews_requests_total{path="/search",status="200"}' in text
    assert 'goodviews_index_images{index="album"} 17.0' in text
    assert "goodviews_batch_photos_count" in text


def test_concurrent_requests_share_batches(running: Running, album: Path):
    bodies = [path.read_bytes() for path in sorted(album.rglob("*.jpg"))] * 3
    before = batches(running)
    threads = [threading.Thread(target=running.json, args=("POST", "/search?k=1", body)) for body in bodies]
    release = threading.Event()
    running.service.served("album").batches.call(lambda: release.wait(20) and np.empty(0))  # the network is busy
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    release.set()
    for thread in threads:
        thread.join()
    photos, runs = (after - earlier for after, earlier in zip(batches(running), before))
    assert photos == len(bodies)
    assert runs < len(bodies) / 2


def batches(running: Running) -> tuple[float, float]:
    """Photos that the network took, and in how many runs."""
    lines = dict(line.rsplit(" ", 1) for line in running.ask("GET", "/metrics")[2].decode().splitlines() if line)
    return float(lines["goodviews_batch_photos_sum"]), float(lines["goodviews_batch_photos_count"])


def test_a_changed_index_is_read_anew(
    make_service: Callable[..., Service], mini: Encoder, album: Path, raccoon: Path, tmp_path: Path
):
    build(mini, album / "blood", tmp_path / "growing")
    with run_service(make_service(tmp_path / "growing")) as running:
        assert running.json("GET", "/health")["images"] == 4
        add(load(tmp_path / "growing"), mini, raccoon)
        deadline = time.monotonic() + 20
        while running.json("GET", "/health")["images"] != 5:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert running.json("POST", "/search?k=1", raccoon.read_bytes())["matches"][0]["similarity"] > 0.999


def test_an_index_that_cannot_be_served_any_more_is_served_as_it_was(
    make_service: Callable[..., Service], mini: Encoder, other_encoder: Encoder, album: Path, tmp_path: Path
):
    folder = tmp_path / "rebuilt"
    build(mini, album / "blood", folder)
    with run_service(make_service(folder)) as running:
        build(other_encoder, album / "raccoon", folder, overwrite=True)  # make_service opens mini alone
        deadline = time.monotonic() + 20
        while b'result="failed"' not in running.ask("GET", "/metrics")[2]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(1)
        assert b'index="rebuilt",result="failed"} 1.0' in running.ask("GET", "/metrics")[2]  # it is not tried again
        photos = running.json("GET", "/items")["photos"]
        assert [photo["label"] for photo in photos] == [None] * 4
        assert all("blood" in photo["path"] for photo in photos)
        assert len(running.json("POST", "/search", {"id": photos[0]["id"]})["matches"]) == 3


def test_indexes_of_one_encoder_are_searched_together(
    make_service: Callable[..., Service], mini: Encoder, album: Path, raccoon: Path, tmp_path: Path
):
    for name in ("blood", "raccoon"):
        build(mini, album / name, tmp_path / name)
    with run_service(make_service(tmp_path / "blood", tmp_path / "raccoon")) as running:
        one = running.json("POST", "/search?k=20", raccoon.read_bytes())["matches"]
        both = running.json("POST", "/search?k=20&index=blood&index=raccoon", raccoon.read_bytes())["matches"]
        assert len(one) == 4
        assert {match["index"] for match in both} == {"blood", "raccoon"}
        similarities = [match["similarity"] for match in both]
        assert similarities == sorted(similarities, reverse=True)


def test_a_token_is_asked_for_everywhere_but_at_health(make_service: Callable[..., Service], index_folder: Path):
    with run_service(make_service(index_folder, token="a secret")) as running:
        assert running.json("GET", "/health")["status"] == "ok"
        for path in ("/", "/indexes", "/metrics", "/thumbnails/album/0", "/api"):
            assert running.refusal("GET", path)[0] == 401
            assert running.ask("GET", path, Authorization="Bearer a secret")[0] == 200
        assert running.refusal("GET", "/indexes", Authorization="Bearer another")[0] == 401
        status, _, page = running.ask("GET", "/", Accept="text/html")
        assert status == 401
        assert b'name="token"' in page
        form = {"Content_Type": "application/x-www-form-urlencoded"}
        assert running.ask("POST", "/login", b"token=wrong", **form)[0] == 401
        status, headers, _ = running.ask("POST", "/login", b"token=a+secret", **form)
        assert status == 303
        cookie = headers["set-cookie"].partition(";")[0]
        assert "secret" not in cookie
        assert "HttpOnly" in headers["set-cookie"]
        assert running.ask("GET", "/indexes", Cookie=cookie)[0] == 200


def test_a_service_over_an_index_of_another_encoder_is_refused(
    other_encoder: Encoder, index_folder: Path, mini: Encoder
):
    from goodviews.export import IndexMismatch

    with pytest.raises(IndexMismatch):
        Service([index_folder], lambda index: other_encoder, token=Token(None))


def test_an_exported_encoder_without_maps_searches_by_the_crop_and_says_so(
    spread_encoder: Encoder, exported, album: Path, tmp_path: Path, raccoon: Path
):
    from goodviews.hub import OnnxEncoder

    build(spread_encoder, album / "raccoon", tmp_path / "index")
    service = Service([tmp_path / "index"], lambda index: OnnxEncoder(exported.folder), token=Token(None))
    with run_service(service) as running:
        found = running.json("POST", "/search?k=1&box=0,0,1,1", raccoon.read_bytes())
        assert found["region"] == "crop"
        assert found["matches"][0]["similarity"] > 0.99


def as_png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_too_many_requests_are_turned_away(make_service: Callable[..., Service], index_folder: Path, raccoon: Path):
    with run_service(make_service(index_folder, limits=Limits(requests=2))) as running:
        release = threading.Event()
        running.service.served("album").batches.call(lambda: release.wait(20) and np.empty(0))
        answers: list[int] = []

        def ask() -> None:
            answers.append(running.ask("POST", "/search", raccoon.read_bytes())[0])

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        assert running.ask("GET", "/health")[0] == 200
        release.set()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200, 200, 503, 503, 503]
        assert json.loads(running.ask("POST", "/search", raccoon.read_bytes())[2])["matches"]
