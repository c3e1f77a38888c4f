from pathlib import Path

import pytest

from goodviews.hub.files.cache import cache_folder


def test_cache_lies_where_the_variable_says_else_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GOODVIEWS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("GOODVIEWS_CACHE")
    assert cache_folder().name == "goodviews"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the places of Linux")
def test_caches_of_earlier_versions_are_found_on_linux(tmp_path, monkeypatch):
    monkeypatch.delenv("GOODVIEWS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "goodviews"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "goodviews"
