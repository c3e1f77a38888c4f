"""What objectives are handed: the random orders of a step."""

import torch

from goodviews.pretrain.objective import draw_orders


def test_orders_are_the_same_again_and_shared_out_between_processes():
    whole = draw_orders(5, 17, batch=8, patches=9)
    second = draw_orders(5, 17, batch=8, patches=9, rank=1, world=2)
    assert torch.equal(whole.keys, second.keys)
    assert torch.equal(whole.patches[4:], second.patches)
    assert all(row.sort().values.tolist() == list(range(9)) for row in whole.patches)
    assert not torch.equal(whole.patches, draw_orders(5, 18, batch=8, patches=9).patches)
