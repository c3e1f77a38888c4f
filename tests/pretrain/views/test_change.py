import torch

from goodviews.pretrain.views.change import Change, apply


def test_only_the_chosen_images_change_by_their_own_parameters_and_the_input_stays():
    batch = torch.zeros(3, 3, 2, 2, dtype=torch.uint8)
    amounts = torch.tensor([1, 2, 3], dtype=torch.uint8)
    add = Change(
        lambda images, amount: images + amount[:, None, None, None], (amounts,), torch.tensor([True, False, True])
    )
    assert apply([add, add], batch)[:, 0, 0, 0].tolist() == [2, 0, 6]
    assert not batch.any()


def test_a_change_of_no_image_calls_nothing_and_one_of_all_may_change_the_shape():
    batch = torch.ones(2, 3, 4, 4)
    none = Change(lambda images: 1 / 0, where=torch.tensor([False, False]))
    halves = Change(lambda images: images[..., :2])
    assert apply([none, halves], batch).shape == (2, 3, 4, 2)
