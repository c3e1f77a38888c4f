"""Adapting: an encoder that was trained already goes on learning, on a few hundred or thousand photos of one kind.

Published: nothing for so few photos; the paper goes on from a ResNet-50 of MoCo v2's 800 epochs.
Measured here: docs/results/adapt.
Cost: a few minutes of one core for 2,000 photos at 56 px and a small network; each photo is encoded twice an epoch.

    goodviews pretrain simclr_adapt --data photos --out runs/mine --init goodviews:mini

Paper: Reed, Yue et al., "Self-Supervised Pretraining Improves Self-Supervised Pretraining", arXiv:2103.12718, and its
code, cjrd/self-supervised-pretraining. What they do: MoCo v2 with its views, head, temperature and weight decay on the
new photos; SGD at 0.03 for 256 images, momentum 0.999, a queue of 65536, a cosine to zero without warm-up; 50 to 50,000
steps, whatever the number of photos (configs/hpt-pretrain). Ours, for photos that are far fewer than theirs:
- A function of the input's side: with --init it is the encoder's own, and so are the network and the normalisation.
- SimCLR's loss and head, the other photos of a batch in place of MoCo's EMA copy and queue: with these no trial gained
  more on flowers than its test photos may explain (docs/results/adapt). Neither its loss without its head, which ends
  in a batch norm, nor its head with a queue gained as much as both.
- Batches of 64 instead of 256, for enough steps of few photos, at two thirds of their rate, and of the one at which
  our small recipes begin.
- A warm-up of an epoch: the head is new, and its first gradients would undo what the backbone knows. Not in their code.
- A tenth of the colour jitter and no gray photos: photos of one kind are often told apart by their colours, and with
  the published change our trials gained nothing (docs/results/adapt). Not in their code.
- Crops of at least half the photo: with the published fifth, trials lost on photos of small things and gained less on
  flowers (docs/results/adapt). Not in their code.
- CLSA's strong view and InfoMin's views in the same frame: unverified, nobody published such runs.
"""

from dataclasses import replace

from ..models.optimizers import Sgd
from ..models.schedules import WarmupCosine
from ..recipe import Recipe
from ..views.mild_colour import with_mild_colour
from ..views.view import View
from .clsa_on_others import SimclrClsa, with_strong
from .infomin import infomin_views
from .simclr import NtXent, simclr_1000, simclr_views

COLOUR = 0.1  # share of the published colour jitter
CROP = 0.5  # the smallest crop's share of the photo; published are 0.08 and, in InfoMin, 0.2


def simclr_adapt(px: int = 224) -> Recipe:
    """SimCLR at temperature 0.2, from an encoder (--init), on 600 to 5,000 photos; start with this one.

    The loss is twice a mean, hence twice MoCo's decay. Plain SGD: LARS is made for large batches.
    """
    return replace(
        simclr_1000(),
        views=with_mild_colour(_weak(px), COLOUR),
        objective=NtXent(temperature=0.2),
        optimizer=Sgd(lr=0.02, momentum=0.9, weight_decay=2e-4),
        schedule=WarmupCosine(warmup_epochs=1),
        batch_size=64,
        epochs=20,
        zero_init_last=False,
    )


def clsa_adapt(px: int = 224) -> Recipe:
    """The same and CLSA's strong view, which must see a batch as the weak ones do; of 96 px where they have 224."""
    views = with_strong(_weak(px), strong_px=round(96 * px / 224))
    return replace(simclr_adapt(px), views=with_mild_colour(views, COLOUR), objective=SimclrClsa(temperature=0.2))


def infomin_adapt(px: int = 224) -> Recipe:
    """The same on InfoMin's views, with a quarter of RandAugment and without the jigsaw.

    What the whole of RandAugment costs short runs, docs/results/orderings-imagenette224 shows.
    """
    query, key, _ = infomin_views(px=px, jigsaw_px=px, patch_px=px // 3, smallest_crop=CROP, rand_augment=0.25)
    pair = replace(query, name="first"), replace(key, name="second")
    return replace(simclr_adapt(px), views=with_mild_colour(pair, COLOUR))


def _weak(px: int) -> tuple[View, ...]:
    return simclr_views(px=px, smallest_crop=CROP)
