import os
import socket

import pytest

from goodviews.hub import ArtifactError
from goodviews.hub.catalogue.download import DeadAddress, download

CONTENT = os.urandom(300_000)


def test_a_file_arrives_whole_and_is_not_asked_for_again(server, tmp_path):
    server.files["/f.pth"] = CONTENT
    for _ in range(2):
        assert download(f"{server.address}/f.pth", tmp_path / "f.pth").read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["f.pth"]


def test_a_transfer_that_breaks_goes_on_where_it_ended(server, tmp_path):
    server.files["/f.pth"] = CONTENT
    server.break_after, server.breaks = 100_000, 2
    assert download(f"{server.address}/f.pth", tmp_path / "f.pth", pause_s=0).read_bytes() == CONTENT
    assert server.requests == [None, "bytes=100000-", "bytes=200000-"]


def test_the_next_call_goes_on_where_the_last_one_gave_up(server, tmp_path):
    server.files["/f.pth"] = CONTENT
    server.break_after, server.breaks = 100_000, 1
    with pytest.raises(
        ArtifactError, match=r"100000 of 300000 bytes arrived.* are kept\. Check the connection and call"
    ):
        download(f"{server.address}/f.pth", tmp_path / "f.pth", attempts=1)
    assert not (tmp_path / "f.pth").exists()
    assert download(f"{server.address}/f.pth", tmp_path / "f.pth").read_bytes() == CONTENT
    assert server.requests[-1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(server, tmp_path):
    server.files["/f.pth"] = CONTENT
    server.break_after, server.breaks = 100_000, 1
    with pytest.raises(ArtifactError):
        download(f"{server.address}/f.pth", tmp_path / "f.pth", attempts=1)
    server.files["/f.pth"] = CONTENT[::-1]
    assert download(f"{server.address}/f.pth", tmp_path / "f.pth").read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    server.files["/f.pth"] = CONTENT
    server.takes_ranges = False
    server.break_after, server.breaks = 100_000, 1
    assert download(f"{server.address}/f.pth", tmp_path / "f.pth", pause_s=0).read_bytes() == CONTENT


def test_nothing_there_and_a_web_page_are_dead_addresses(server, tmp_path):
    with pytest.raises(DeadAddress, match="answers 404"):
        download(f"{server.address}/none.pth", tmp_path / "f.pth")
    server.files["/f.pth"], server.content_type = b"<html>", "text/html; charset=utf-8"
    with pytest.raises(DeadAddress, match="answers with a web page"):
        download(f"{server.address}/f.pth", tmp_path / "f.pth")
    assert not (tmp_path / "f.pth").exists()


def test_nobody_there_is_reported_at_once(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ArtifactError, match="refused"):
        download(f"http://127.0.0.1:{port}/f.pth", tmp_path / "f.pth", pause_s=100)
