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
- Batches of 64 instead of 256, for enough steps of few photos, at two thirds of their rate, and of the one at which
  our small recipes begin.
- A queue that is smaller than the data, and an EMA momentum of 0.99, for there are hundreds of steps, not thousands.
- A warm-up of an epoch: the head is new, and its first gradients would undo what the backbone knows. Not in their code.
- A tenth of their colour jitter and no gray photos: photos of one kind are often told apart by their colours, and with
  the published change our trials gained nothing (docs/results/adapt). Not in their code.
- Crops of at least half the photo: with the published fifth, trials lost on photos of small things and gained less on
  flowers (docs/results/adapt). Not in their code.
- InfoMin, CLSA and SimCLR in the same frame, with their own views and losses: unverified, nobody published such runs.
"""

from dataclasses import replace

from ..models.ema import KeyNetwork
from ..models.optimizers import Sgd
from ..models.queue import Queue
from ..models.schedules import WarmupCosine
from ..recipe import Recipe
from ..views.mild_colour import with_mild_colour
from ..views.view import RandomResizedCrop
from .clsa import Clsa, clsa_200, clsa_views
from .infomin import infomin_200, infomin_views
from .moco import QueueContrast, moco_v2_200, moco_v2_views
from .simclr import NtXent, simclr_1000, simclr_views

BLUR = 2.0 / 224  # the widest blur's share of a view's side, as published
COLOUR = 0.1  # share of the published colour jitter
CROP = 0.5  # the smallest crop's share of the photo; published is 0.2


def moco_v2_adapt(px: int = 224) -> Recipe:
    """MoCo v2, from an encoder (--init), on 600 to 5,000 photos."""
    return replace(
        moco_v2_200(),
        views=with_mild_colour(moco_v2_views(px=px, smallest_crop=CROP, blur_px=BLUR * px), COLOUR),
        objective=QueueContrast(temperature=0.2),
        optimizer=Sgd(lr=0.02, momentum=0.9, weight_decay=1e-4),
        schedule=WarmupCosine(warmup_epochs=1),
        batch_size=64,
        epochs=20,
        slow=KeyNetwork(momentum=0.99, group=32),
        memory=Queue(512),
    )


def infomin_adapt(px: int = 224) -> Recipe:
    """InfoMin with a quarter of RandAugment, from an encoder (--init), on 600 to 5,000 photos.

    The jigsaw's crop and patches are in proportion to the side. What the whole of RandAugment costs short runs,
    docs/results/orderings-imagenette224 shows.
    """
    views = infomin_views(
        px=px,
        jigsaw_px=3 * round(85 * px / 224),
        patch_px=round(64 * px / 224),
        smallest_crop=CROP,
        rand_augment=0.25,
    )
    return _adapting(replace(infomin_200(), views=with_mild_colour(views, COLOUR)))


def clsa_adapt(px: int = 224) -> Recipe:
    """CLSA with one strong crop, in proportion to the side, from an encoder (--init), on 600 to 5,000 photos."""
    whole, part = RandomResizedCrop(px, (CROP, 1.0)), RandomResizedCrop(round(96 * px / 224), (0.086, 0.429))
    views = with_mild_colour(clsa_views(whole, weak=[whole], strong=[part], blur_px=BLUR * px), COLOUR)
    return _adapting(
        replace(clsa_200(), views=views, objective=Clsa(weak=(f"weak_{px}",), strong=(f"strong_{part.px}",)))
    )


def simclr_adapt(px: int = 224) -> Recipe:
    """SimCLR at temperature 0.2, from an encoder (--init), on 600 to 5,000 photos; start with this one.

    The loss is twice a mean, hence twice the decay of the others. Plain SGD: LARS is made for large batches.
    """
    recipe = replace(_adapting(simclr_1000()), objective=NtXent(temperature=0.2), zero_init_last=False)
    return replace(
        recipe,
        views=with_mild_colour(simclr_views(px=px, smallest_crop=CROP), COLOUR),
        optimizer=Sgd(lr=0.02, momentum=0.9, weight_decay=2e-4),
        slow=None,
        memory=None,
    )


def _adapting(recipe: Recipe) -> Recipe:
    """With the optimiser, schedule, budget, EMA copy and queue of moco_v2_adapt."""
    frame = moco_v2_adapt()
    return replace(
        recipe,
        optimizer=frame.optimizer,
        schedule=frame.schedule,
        batch_size=frame.batch_size,
        epochs=frame.epochs,
        slow=frame.slow,
        memory=frame.memory,
    )
