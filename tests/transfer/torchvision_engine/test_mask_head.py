"""Masks: what the branch learns from, what it is told about it, and what becomes of what it finds."""

import numpy as np
import pytest
import torch

from goodviews.transfer.datasets.labelled_photos import Rle
from goodviews.transfer.datasets.masks import decode, encode
from goodviews.transfer.torchvision_engine.mask_head import mask_loss, mask_targets, paste_masks

ANGLES = np.linspace(0, 2 * np.pi, 60, endpoint=False)
CIRCLE = (tuple((np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * 30 + [50, 40]).ravel().tolist()),)
BOX = torch.tensor([[20.0, 10.0, 80.0, 70.0]])  # around the circle


def test_what_lies_in_the_box_is_learned_from():
    left_half = ((10.0, 10.0, 20.0, 10.0, 20.0, 30.0, 10.0, 30.0),)
    cut = mask_targets([left_half], torch.tensor([[10.0, 10.0, 30.0, 30.0]]), 8)
    assert cut[0].sum(dim=0).tolist() == [8, 8, 8, 8, 0, 0, 0, 0]
    assert mask_targets([left_half], torch.tensor([[40.0, 40.0, 50.0, 50.0]]), 8).sum() == 0
    assert mask_targets([], torch.zeros(0, 4), 8).shape == (0, 8, 8)


def test_several_polygons_are_one_object():
    two = ((0.0, 0.0, 2.0, 0.0, 2.0, 8.0, 0.0, 8.0), (6.0, 0.0, 8.0, 0.0, 8.0, 8.0, 6.0, 8.0))
    target = mask_targets([two], torch.tensor([[0.0, 0.0, 8.0, 8.0]]), 8)[0]
    assert target.sum(dim=0).tolist() == [8, 8, 0, 0, 0, 0, 8, 8]


def test_run_lengths_are_cut_as_polygons_are():
    pixels = encode(decode(CIRCLE, 80, 100))
    assert isinstance(pixels, Rle)
    one, other = mask_targets([CIRCLE, pixels], BOX.repeat(2, 1), 28)
    assert 500 < one.sum() < 700  # pi / 4 of 784 is 616
    assert (one != other).sum() <= 30


def test_only_the_mask_of_the_own_class_is_judged():
    logits = torch.full((2, 3, 1, 2), 50.0)
    logits[0, 1] = torch.tensor([0.0, np.log(3)])  # the object of class 2
    logits[1, 0] = 0.0
    loss = mask_loss(logits, torch.tensor([2, 1]), torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]]]))
    assert loss.item() == pytest.approx((3 * np.log(2) + np.log(4 / 3)) / 4)
    assert mask_loss(logits[:0], torch.zeros(0, dtype=torch.long), torch.zeros(0, 1, 2)).item() == 0


def test_a_mask_that_was_cut_is_pasted_back_where_it_was():
    cut = mask_targets([CIRCLE], BOX, 28)
    (pasted,) = paste_masks(cut, BOX.numpy(), 80, 100)
    assert pasted.size == (80, 100)
    before, after = decode(CIRCLE, 80, 100).astype(bool), decode(pasted, 80, 100).astype(bool)
    assert (before & after).sum() / (before | after).sum() > 0.95


def test_masks_end_at_the_edge_of_the_photo():
    boxes = np.array([[-10.0, -10.0, 10.0, 10.0], [80.0, 60.0, 120.0, 100.0]])
    corner, other = (decode(mask, 80, 100) for mask in paste_masks(torch.ones(2, 28, 28), boxes, 80, 100))
    assert (corner[:9, :9].all(), corner[11:].any(), corner[:, 11:].any()) == (True, False, False)
    assert (other[62:, 82:].all(), other[:59].any(), other[:, :79].any()) == (True, False, False)


@pytest.mark.detectron2
def test_cutting_and_pasting_is_what_detectron2_does():
    pytest.importorskip("detectron2", reason="compares with detectron2")
    from detectron2.layers.mask_ops import paste_masks_in_image
    from detectron2.structures import BitMasks, PolygonMasks

    random = np.random.default_rng(0)
    masks = [((np.reshape(CIRCLE, (-1, 2)) * random.uniform(0.3, 1.2, 2)).ravel().tolist(),) for _ in range(12)]
    boxes = BOX.repeat(12, 1) + torch.from_numpy(random.uniform(-9, 9, (12, 4))).float()
    theirs = PolygonMasks([[np.array(one[0])] for one in masks]).crop_and_resize(boxes, 28)
    assert torch.equal(mask_targets(masks, boxes, 28), theirs.float())
    pixels = np.stack([decode(one, 100, 120) for one in masks])
    ours = mask_targets([encode(one) for one in pixels], boxes, 28)
    assert torch.equal(ours, BitMasks(pixels).crop_and_resize(boxes, 28).float())
    found = torch.from_numpy(random.random((12, 28, 28))).float()
    pasted = np.stack([decode(one, 100, 120) for one in paste_masks(found, boxes.numpy(), 100, 120)])
    assert np.array_equal(pasted, paste_masks_in_image(found, boxes, (100, 120)).numpy())
