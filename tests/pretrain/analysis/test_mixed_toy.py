import pytest
import torch

from goodviews.pretrain.analysis.mixed_toy import Unmixed, mixed_photos
from goodviews.pretrain.analysis.pairs import normalized

pytest.importorskip("sklearn", reason="the toy set needs scikit-learn")


def test_unmixed_channels_share_the_digit_and_the_third_shows_none():
    photos = mixed_photos(px=32, train=8, test=4, seed=0)
    hidden = Unmixed()(normalized(photos.train.images))
    ink = (hidden[:, 0] > 0.7) & (hidden[:, 1] > 0.7)  # photos behind digits are darker
    assert (ink.flatten(1).sum(dim=1) > 5).all()
    assert not (hidden[:, 2] > 0.7).any()


def test_equal_seeds_give_equal_images_and_tests_have_digits_of_their_own():
    first, again = (mixed_photos(px=16, train=6, test=6, seed=3) for _ in range(2))
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(first.train.images, first.test.images)
