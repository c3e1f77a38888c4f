"""The next batch's views are rendered on a stream of their own while the GPU still works on the step before.

The CPU runs ahead of the GPU: it has the next batch's rendering queued before a step is done. On one stream rendering
would wait for its turn; on two they share the GPU. No GPU has run this yet: it is unproved until one has.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


class SideStream:
    """A stream beside the current one.

    Args:
        device: a GPU; what lies on it already may be read on the stream.
    """

    def __init__(self, device: torch.device):
        self.device, self._stream = device, torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))

    def render(self, make: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """What `make` gives, made on the side; the current stream waits for it, and the CPU does not."""
        with torch.cuda.stream(self._stream):
            views = dict(make())
        current = torch.cuda.current_stream(self.device)
        current.wait_stream(self._stream)
        for view in views.values():
            view.record_stream(current)  # its memory is not given away while the step reads it
        return views
