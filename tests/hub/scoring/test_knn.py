import math

import pytest
import torch
import torch.nn.functional as F

from goodviews.hub.scoring.knn import nearest, vote, weighted_knn


def test_votes_equal_the_example_worked_by_hand():
    query = torch.tensor([[2.0, 0.0]])  # its length must not matter
    bank = torch.tensor([[3.0, 0.0], [0.8, 0.6], [0.6, 0.8], [0.0, 1.0]])  # cosines 1, 0.8, 0.6, 0
    labels = torch.tensor([0, 1, 1, 2])
    votes = weighted_knn(query, bank, labels, classes=3, settings=[(1, 0.5), (3, 0.5), (4, 0.5), (3, 0.1)])
    # relative to the best neighbour: exp((cosine - 1) / 0.5)
    near = math.exp(-0.4) + math.exp(-0.8)
    torch.testing.assert_close(votes[1, 0.5], torch.tensor([[1.0, 0.0, 0.0]]))
    torch.testing.assert_close(votes[3, 0.5], torch.tensor([[1.0, near, 0.0]]))
    torch.testing.assert_close(votes[4, 0.5], torch.tensor([[1.0, near, math.exp(-2)]]))
    colder = math.exp(-2) + math.exp(-4)  # exp((cosine - 1) / 0.1)
    torch.testing.assert_close(votes[3, 0.1], torch.tensor([[1.0, colder, 0.0]]))
    assert votes[3, 0.1].argmax() == 0  # when it is cold, the nearest decides
    assert votes[1, 0.5].argmax() == 0
    assert votes[3, 0.5].argmax() == 1  # two near neighbours outvote the nearest


def test_near_neighbours_outvote_many_far_ones():
    similarities, labels = torch.tensor([[0.9, 0.1, 0.1, 0.1]]), torch.tensor([[1, 0, 0, 0]])
    assert vote(similarities, labels, temperature=0.07, classes=2).argmax() == 1
    assert vote(similarities, labels, temperature=100.0, classes=2).argmax() == 0


def test_blocks_find_what_a_full_sort_finds():
    torch.manual_seed(0)
    query, bank = torch.randn(7, 5), torch.randn(23, 5)
    similarity, rows = nearest(query, bank, k=4, query_rows=3, bank_rows=6)
    exact = F.normalize(query, dim=1) @ F.normalize(bank, dim=1).T
    torch.testing.assert_close(similarity, exact.sort(dim=1, descending=True).values[:, :4])
    torch.testing.assert_close(exact.gather(1, rows), similarity)


def test_last_block_may_hold_fewer_rows_than_neighbours_are_asked_for():
    _, rows = nearest(torch.eye(3), torch.eye(3)[[0, 1, 2, 0, 1]], k=4, bank_rows=4)
    assert rows.shape == (3, 4)
    assert {int(rows[0, 0]), int(rows[0, 1])} == {0, 3}


def test_order_of_the_training_images_does_not_matter():
    torch.manual_seed(1)
    query, bank, labels = torch.randn(6, 8), torch.randn(30, 8), torch.randint(0, 3, (30,))
    order = torch.randperm(30)
    asked = {"classes": 3, "settings": [(5, 0.07)]}
    one = weighted_knn(query, bank, labels, **asked)[5, 0.07]
    other = weighted_knn(query, bank[order], labels[order], **asked)[5, 0.07]
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("temperature", [0.001, 0.07, 10.0])
def test_votes_stay_finite_at_any_temperature(temperature):
    torch.manual_seed(2)
    votes = weighted_knn(
        torch.randn(4, 3), torch.randn(9, 3), torch.arange(9) % 2, classes=2, settings=[(9, temperature)]
    )[9, temperature]
    assert votes.isfinite().all()
    assert (votes.sum(dim=1) >= 1).all()


def test_random_labels_score_chance():
    generator = torch.Generator().manual_seed(3)
    bank, query = torch.randn(2000, 16, generator=generator), torch.randn(2000, 16, generator=generator)
    labels, truth = (torch.randint(0, 4, (2000,), generator=generator) for _ in range(2))
    votes = weighted_knn(query, bank, labels, classes=4, settings=[(20, 0.07)])[20, 0.07]
    right = float((votes.argmax(dim=1) == truth).float().mean())
    assert abs(right - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 2000)
