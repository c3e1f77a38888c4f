"""--keep among several processes: a machine decodes its photos once, and its processes share them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator

from ...hub.sources.source import Source
from ..data.decoded_cache import decode_photos
from ..data.decoded_photos import DecodedPhotos
from ..data.memory_budget import require_room
from ..models.across_processes import patient_gather
from ..options import Options
from .failures import all_or_none


def keep_photos(options: Options, source: Source, accelerator: Accelerator) -> DecodedPhotos | None:
    """The decoded photos, with --keep: in one block of memory or one file for all processes of a machine.

    The first process of a machine decodes; the others wait for it as long as it takes, or until it ends.

    Raises:
        UsageError: they do not fit.
        DataError: the source cannot be read at all.
    """
    if options.keep == "no":
        return None
    decode = partial(decode_photos, source, options.keep, short_px=options.keep_px, workers=options.loader_processes)
    if accelerator.num_processes == 1:
        _require_gpu_room(options, source, accelerator)
        return decode()
    with patient_gather() as gather:
        return _keep_by_one(options, source, accelerator, decode, gather)


def _keep_by_one(
    options: Options,
    source: Source,
    accelerator: Accelerator,
    decode: Callable[..., DecodedPhotos],
    gather: Callable[[Any], list[Any]],
) -> DecodedPhotos:
    """What the first process of this machine decodes."""
    mine: DecodedPhotos | None = None
    with all_or_none(accelerator, gather=gather):
        _require_gpu_room(options, source, accelerator)
        if accelerator.is_local_main_process:
            mine = decode(is_shared=True)
    if options.keep == "disk":
        return mine or decode()
    places = gather(None if mine is None else (mine.where, mine.reasons, mine.file))
    of_machine = places[accelerator.process_index - accelerator.local_process_index]
    assert of_machine is not None, "every machine's first process decodes"
    where, reasons, file = of_machine
    if mine is None and file is None:  # a system without shared files in memory
        return decode()
    photos = mine or DecodedPhotos(source, where, reasons, file=file)
    gather(None)  # the first process may let go of the block once all have mapped it
    return photos


def _require_gpu_room(options: Options, source: Source, accelerator: Accelerator) -> None:
    if options.keep == "gpu":
        free, _ = torch.cuda.mem_get_info(accelerator.device)
        require_room(source, options.keep_px, free, "the GPU")
