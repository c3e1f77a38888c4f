"""What strangers send: every answer is an error with one sentence, and the service goes on answering."""

import base64
import io
import json
import os
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodviews.export.service.limits import Limits
from goodviews.export.service.service import Service

from .conftest import Running, run_service

# Another folder of odd and broken image files may be named; the suite's own is a part of it.
ODD_FILES = "GOODVIEWS_ROBUSTNESS"


@pytest.fixture(autouse=True)
def _still_answers(running: Running):
    yield
    assert running.json("GET", "/health")["status"] == "ok"


def test_odd_files_are_ranked_or_refused_in_a_sentence(running: Running, odd_files: Path):
    folder = Path(os.environ.get(ODD_FILES, odd_files))
    statuses = set()
    for path in sorted(folder.iterdir()):
        if not path.is_file() or path.stat().st_size > running.service.limits.body:
            continue
        status, _, body = running.ask("POST", "/search?k=1", path.read_bytes())
        statuses.add(status)
        answer = json.loads(body)
        assert (status == 200 and answer["matches"]) or is_sentence(answer["error"]), path.name
        assert status in (200, 400, 413), path.name
    assert {200, 400} <= statuses


def test_photos_cut_or_changed_anywhere_end_no_thread(running: Running, raccoon: Path):
    draw = random.Random(0)
    whole = raccoon.read_bytes()
    for _ in range(30):
        data = bytearray(whole[: draw.randrange(1, len(whole))])
        for _ in range(draw.randrange(8)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        status, _, body = running.ask("POST", "/embed", bytes(data))
        assert status in (200, 400), body


def is_sentence(text: str) -> bool:
    return text.endswith(".") and "Traceback" not in text and "\n" not in text


PHOTO = base64.b64encode(b"no photo").decode()
HOSTILE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"[" * 100_000,
    b'{"id": 1e400}',
    b'{"id": "1"}',
    b'{"id": -1}',
    b'{"id": 99999999999999999999999}',
    b'{"id": true, "of": "album"}',
    b'{"id": 0, "of": "../../etc"}',
    b'{"id": 0, "k": 0}',
    b'{"id": 0, "k": 101}',
    b'{"id": 0, "offset": 2001}',
    b'{"id": 0, "fold": 0.1}',
    b'{"id": 0, "fold": NaN}',
    b'{"id": 0, "index": "album"}',
    b'{"id": 0, "index": ["nothing"]}',
    b'{"id": 0, "box": [0, 0, 2, 2]}',
    b'{"id": 0, "box": [0, 0, 0, 0]}',
    b'{"id": 0, "box": [NaN, 0, 1, 1]}',
    b'{"id": 0, "after": "yesterday"}',
    b'{"id": 0, "more": 1}',
    b'{"id": 0, "label": "\\ud800"}',
    b'{"id": 0, "after": "2024-99-99"}',
    b'{"id": 0, "vector": [1]}',
    b'{"vector": [1, 2, 3]}',
    b'{"vector": [Infinity]}',
    json.dumps({"vector": [0.0] * 256}).encode(),
    json.dumps({"query": base64.b64encode(b"\xff" * 1024).decode()}).encode(),
    b'{"query": "AAA"}',
    b'{"query": "*"}',
    json.dumps({"photo": PHOTO}).encode(),
    b'{"photo": "\xff\xfe"}',
    b'{"photo": "data:image/png;base64,AAAA"}',
    b'{"box": [0, 0, 1, 1], "query": "AAAA"}',
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: body[:40].decode("latin-1"))
def test_a_hostile_search_is_refused_in_a_sentence(running: Running, body: bytes):
    status, sentence = running.refusal("POST", "/search", body, Content_Type="application/json")
    assert status in (400, 404)
    assert is_sentence(sentence)


@pytest.mark.parametrize(
    ("status", "path", "headers"),
    [
        (400, "/search?k=many", {}),
        (400, "/search?box=1,2", {}),
        (400, "/search?box=a,b,c,d", {}),
        (400, "/search?fold=2", {}),
        (400, "/search?unknown=1", {}),
        (404, "/search?index=nothing", {}),
        (400, "/search", {"Content_Type": "multipart/form-data; boundary=x"}),
        (400, "/search", {"Content_Type": "text/html"}),
        (400, "/search", {"Content_Encoding": "gzip"}),
        (400, "/embed", {"Content_Type": "application/json"}),
        (413, "/search", {"Content_Length": "99999999999"}),
        (413, "/search", {"Content_Length": str(2**40)}),
        (403, "/search", {"Host": "evil.example"}),
        (403, "/search", {"Host": "127.0.0.1.evil.example"}),
        (403, "/search", {"Origin": "https://evil.example"}),
    ],
)
def test_a_request_of_the_wrong_kind_is_refused(running: Running, status: int, path: str, headers: dict[str, str]):
    found, sentence = running.refusal("POST", path, b"x" if "Content_Length" not in headers else None, **headers)
    assert (found, is_sentence(sentence)) == (status, True)


@pytest.mark.parametrize(
    "path",
    [
        "/page/../commands.py",
        "/page/..%2fcommands.py",
        "/page/%2e%2e/app.py",
        "/page/login.html.j2",
        "/thumbnails/album/..%2f..%2fetc%2fpasswd",
        "/thumbnails/..%2f..%2f/0",
        "/thumbnails/album/-1",
        "/thumbnails/album/99999999999999999999999999",
        "/photos/album/0.5",
        "/photos//etc/passwd",
        "/map/nothing",
        "/nothing",
    ],
)
def test_an_address_leads_to_no_file_but_the_pages(running: Running, path: str):
    status, sentence = running.refusal("GET", path)
    assert status == 404
    assert "root:" not in sentence


def test_metrics_do_not_grow_with_what_strangers_ask_for(make_service: Callable[..., Service], index_folder: Path):
    with run_service(make_service(index_folder, token="a secret")) as running:
        for number in range(50):
            assert running.refusal("GET", f"/made-up-{number}")[0] == 401
        text = running.ask("GET", "/metrics", Authorization="Bearer a secret")[2].decode()
    assert "made-up" not in text
    assert 'goodviews_requests_total{path="other",status="401"} 50.0' in text


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(
    make_service: Callable[..., Service], index_folder: Path
):
    stream = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(stream, "PNG")  # 10 kB that would be 240 MB
    with run_service(make_service(index_folder)) as running:
        started = time.monotonic()
        status, sentence = running.refusal("POST", "/search", stream.getvalue())
        assert status == 413
        assert "million pixels" in sentence
        assert time.monotonic() - started < 20


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode().ljust(118 - 1) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00\x10\x00{}",
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 1000000, 3), }"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1, 3), }", b"cos\nsystem\n(S'id'\ntR."),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 2, 3), }", b"12"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4, 3), }"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }", b"123456"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 3), }", b"0" * 12),
        npy("__import__('os').system('id')"),
        npy("{'descr': '|u1', 'fortran_order': False, 'shape': (65, 1, 1, 3), }", b"0" * 195),
    ],
)
def test_an_array_that_is_none_is_refused(running: Running, body: bytes):
    status, sentence = running.refusal("POST", "/embed", body, Content_Type="application/x-npy")
    assert status in (400, 413)
    assert is_sentence(sentence)


def test_one_bad_photo_of_many_is_named(running: Running, raccoon: Path):
    good = base64.b64encode(raccoon.read_bytes()).decode()
    status, sentence = running.refusal("POST", "/embed", {"photos": [good, PHOTO]})
    assert status == 400
    assert sentence.startswith("Photo 1 ")
    assert running.refusal("POST", "/embed", {"photos": []})[0] == 400
    assert running.refusal("POST", "/embed", {"photos": [good] * 65})[0] == 400


def test_an_eps_file_reaches_no_other_program(running: Running):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n(%pipe%id) (w) file\n%%EOF\n"
    status, sentence = running.refusal("POST", "/search", eps)
    assert status == 400
    assert "EPS" in sentence


def test_bodies_that_do_not_arrive_are_given_up(make_service: Callable[..., Service], index_folder: Path):
    half = b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\nhalf"
    with (
        run_service(make_service(index_folder, limits=Limits(body_s=0.5))) as running,
        socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection,
    ):
        connection.sendall(half)
        assert b" 408 " in connection.recv(1000)


def test_noise_on_the_wire_hurts_nobody(running: Running):
    draw = np.random.default_rng(0)
    for start in (b"", b"GET / HTTP/1.1\r\n", b"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"\x16\x03\x01"):
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(start + draw.bytes(2000) + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def test_clients_that_leave_early_block_nobody(running: Running, raccoon: Path):
    body = raccoon.read_bytes()
    head = f"POST /search HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def leave() -> None:
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(head + body)

    threads = [threading.Thread(target=leave) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert running.json("POST", "/search?k=1", body)["matches"]
