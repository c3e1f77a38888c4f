"""Views with mild colour: the published ones but for their colour."""

from dataclasses import astuple

from goodviews.pretrain.recipes.clsa import clsa_200
from goodviews.pretrain.recipes.moco import moco_v2_views
from goodviews.pretrain.views.mild_colour import with_mild_colour
from goodviews.pretrain.views.operations import ColorJitter, Grayscale


def test_a_share_of_the_jitter_is_left_and_no_gray_photo():
    query, _key = with_mild_colour(moco_v2_views(px=56), 0.5)
    (jitter,) = (step for step in query.program if isinstance(step, ColorJitter))
    assert astuple(jitter)[:5] == (0.2, 0.2, 0.2, 0.05, 0.8)
    assert not any(isinstance(step, Grayscale) for step in query.program)


def test_crops_blur_flip_and_strong_policies_stay():
    before = clsa_200().views
    after = with_mild_colour(before, 0.1)
    assert [view.name for view in after] == [view.name for view in before]
    assert [view.crop for view in after] == [view.crop for view in before]
    for old, new in zip(before, after, strict=True):
        kept = [step for step in old.program if not isinstance(step, ColorJitter | Grayscale)]
        assert [step for step in new.program if not isinstance(step, ColorJitter)] == kept


def test_a_share_of_one_without_gray_photos_changes_nothing():
    (query, key) = with_mild_colour(moco_v2_views(px=56), 0.1)
    assert with_mild_colour((query, key), 1.0) == (query, key)
