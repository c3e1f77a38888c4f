"""The queue of keys: where a batch goes, which keys stay, what it starts as."""

import torch

from goodviews.pretrain.models.queue import KeyQueue


def test_queue_of_10_takes_batches_of_4_at_0_4_and_8_9_0_1():
    queue = KeyQueue(10, 1)
    for batch in range(3):
        queue.enqueue(torch.full((4, 1), float(batch)))
    assert queue.rows[:, 0].tolist() == [2, 2, 0, 0, 1, 1, 1, 1, 2, 2]
    assert queue.pointer == 2


def test_queue_smaller_than_the_batch_keeps_the_newest_keys():
    queue = KeyQueue(3, 1)
    queue.enqueue(torch.arange(5.0)[:, None])
    assert sorted(queue.rows[:, 0].tolist()) == [2, 3, 4]
    assert queue.rows[queue.pointer].item() == 2  # the oldest is the next to go


def test_queue_starts_as_unit_rows_of_the_seed():
    queue = KeyQueue(50, 8, seed=3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(50))
    assert torch.equal(queue.rows, KeyQueue(50, 8, seed=3).rows)
    assert not torch.equal(queue.rows, KeyQueue(50, 8, seed=4).rows)
