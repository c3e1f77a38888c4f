"""The pages of the hub: what a person sees, and nothing that a pushed file could make run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from goodviews.hub import Encoder, save
from goodviews.hub.reports.report import Report, save_report

from ..running_hub import RunningHub
from .test_client import START
from .test_hostile import ask, commit, make_repo, small


@pytest.fixture(scope="module")
def folder(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(encoder, tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture
def shown(hub: RunningHub, folder: Path, make_report: Callable[..., Report], home: Path, tmp_path: Path) -> RunningHub:
    """The hub with two encoders that have a report each."""
    for name, top1 in (("first", 50.0), ("second", 61.5)):
        report = save_report(make_report(name=f"team/{name}", top1=top1), tmp_path / name / "reports" / "knn.json")
        upload = f"repo_id='team/{name}', folder_path={str(folder)!r}"
        code = START + f"api.create_repo('team/{name}', exist_ok=True); api.upload_folder({upload})\n"
        code += (
            f"api.upload_file(repo_id='team/{name}', path_or_fileobj={str(report)!r}, path_in_repo='reports/knn.json')"
        )
        hub.client(code, home=home)
    return hub


def test_home_lists_encoders_with_their_network_and_results(shown: RunningHub):
    status, headers, body = ask(shown, "GET", "/")
    page = body.decode()
    assert status == 200
    assert 'href="/team/first"' in page
    assert "resnet18, 512 features" in page
    assert "knn 61.5" in page
    assert "default-src 'none'" in headers["content-security-policy"]


def test_an_encoders_page_shows_its_card_its_files_and_a_snippet(shown: RunningHub):
    _, _, body = ask(shown, "GET", "/team/first")
    page = body.decode()
    assert "from_pretrained(&#39;team/first&#39;)" in page or "from_pretrained('team/first')" in page
    assert "model.safetensors" in page
    assert "<h1>" in page


def test_reports_are_compared_as_the_command_compares_them(shown: RunningHub):
    status, _, body = ask(shown, "GET", "/compare?with=team/first&with=team/second")
    page = body.decode()
    assert status == 200
    assert page.index("team/second") < page.index("team/first")  # the best first
    assert "61.5" in page
    status, _, body = ask(shown, "GET", "/compare?with=team/absent")
    assert status == 404
    assert ask(shown, "GET", "/compare")[0] == 400


def test_the_addresses_that_a_push_and_a_card_give_are_pages(hub: RunningHub):
    make_repo(hub, "addresses")
    _, made = commit(hub, "addresses", small("reports/knn.json", b"{}"), small("figures/x.png", b"\x89PNG"))
    for address, leads_to in (
        (made["commitUrl"].removeprefix(hub.address), f"/team/addresses/tree/{made['commitOid']}"),
        ("/team/addresses/discussions/1", "/team/addresses/tree/refs%2Fpr%2F1"),
        ("/team/addresses/blob/main/reports/knn.json", "/team/addresses/resolve/main/reports/knn.json"),
    ):
        status, headers, _ = ask(hub, "GET", address)
        assert (status, headers["location"]) == (307, leads_to)
    assert ask(hub, "GET", f"/team/addresses/tree/{made['commitOid']}")[0] == 200
    assert ask(hub, "GET", "/team/absent/commit/" + made["commitOid"])[0] == 404
    assert ask(hub, "GET", "/team/addresses/resolve/main/figures/x.png")[1]["content-type"] == "image/png"


def test_what_a_card_brings_is_shown_and_never_run(hub: RunningHub):
    make_repo(hub, "hostile")
    card = (
        b"---\nlicense: mit\n---\n# A <script>alert(1)</script> card\n\n[x](javascript:alert(1)) ![y](javascript:1)\n"
    )
    commit(hub, "hostile", small("README.md", card), small("page.html", b"<script>alert(1)</script>"))
    commit(hub, "hostile", small("config.json", b'{"architecture": "<img src=x onerror=alert(1)>"}'))
    page = ask(hub, "GET", "/team/hostile")[2].decode() + ask(hub, "GET", "/")[2].decode()
    assert "<script" not in page
    assert 'href="javascript:' not in page
    assert "<img src=x" not in page
    _, headers, _ = ask(hub, "GET", "/team/hostile/resolve/main/page.html")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["x-content-type-options"] == "nosniff"


def test_an_empty_hub_says_what_to_do(start_hub: Callable[..., RunningHub], tmp_path: Path):
    hub = start_hub(tmp_path / "store")
    page = ask(hub, "GET", "/")[2].decode()
    assert "Nothing has been pushed yet" in page
    assert f"HF_ENDPOINT={hub.address}" in page
