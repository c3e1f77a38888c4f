"""Adapting: an encoder that was trained already goes on learning, on a few hundred or thousand photos of one kind.

Published: for a ResNet-50 that goes on from MoCo v2's 800 epochs, no number for so few photos.
Measured here: not yet.
Cost: minutes; 20 passes over the photos, each encoded twice.

    goodviews pretrain moco_v2_adapt --data photos --out runs/mine --init goodviews:mini

Paper: Reed, Yue et al., "Self-Supervised Pretraining Improves Self-Supervised Pretraining", arXiv:2103.12718, and its
code, cjrd/self-supervised-pretraining. What they do: MoCo v2 with its views, head, temperature, momentum and weight
decay on the new photos; SGD at 0.03 for 256 images, a cosine to zero without warm-up; 50 to 50,000 steps, whatever the
number of photos (configs/hpt-pretrain). Ours, for photos that are far fewer than theirs:
- A function of the input's side: with --init it is the encoder's own, and so are the network and the normalisation.
- Batches of 64, for enough steps of few photos, and a queue that is smaller than the data.
- A warm-up: the head is new, and its first gradients would undo what the backbone knows. Not in their code.
"""

from dataclasses import replace

from ..models.ema import KeyNetwork
from ..models.optimizers import Sgd
from ..models.queue import Queue
from ..models.schedules import WarmupCosine
from ..recipe import Recipe
from .moco import QueueContrast, moco_v2_200, moco_v2_views

BLUR = 2.0 / 224  # the widest blur's share of a view's side, as published


def moco_v2_adapt(px: int = 224) -> Recipe:
    """MoCo v2, from an encoder (--init), on 600 to 5,000 photos; start with this one."""
    return replace(
        moco_v2_200(),
        views=moco_v2_views(px=px, smallest_crop=0.2, blur_px=BLUR * px),
        objective=QueueContrast(temperature=0.2),
        optimizer=Sgd(lr=0.01, momentum=0.9, weight_decay=1e-4),
        schedule=WarmupCosine(warmup_epochs=2),
        batch_size=64,
        epochs=20,
        slow=KeyNetwork(momentum=0.99, group=32),
        memory=Queue(512),
    )
