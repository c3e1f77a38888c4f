"""Whether decoded photos fit is known before they are decoded."""

import pytest

from goodviews.hub.errors import UsageError
from goodviews.pretrain.data import decoded_cache, memory_budget
from goodviews.pretrain.data.decoded_cache import decode_photos
from goodviews.pretrain.data.memory_budget import advise_decoding_once


def test_photos_that_do_not_fit_are_refused_before_they_are_decoded(odd_photos, monkeypatch):
    monkeypatch.setattr(decoded_cache, "free_memory_bytes", lambda: 1_000_000)
    with pytest.raises(UsageError, match=r"takes about 0.0 GB and memory has 0.0 GB free; keep them smaller"):
        decode_photos(odd_photos, "memory")


def test_long_run_on_few_photos_is_advised_to_decode_them_once(odd_photos, monkeypatch):
    assert "would decode them once instead of 800 times" in (advise_decoding_once(odd_photos, 800) or "")
    assert advise_decoding_once(odd_photos, 10) is None
    monkeypatch.setattr(memory_budget, "free_memory_bytes", lambda: 1_000_000)
    assert advise_decoding_once(odd_photos, 800) is None
