"""The body of a request: of a kind that is taken, within the limits, arrived in time, a photo decoded in a thread."""

import asyncio
from collections.abc import Callable

import numpy as np
from PIL import Image
from starlette.requests import Request

from ...hub.web import Refusal, read_body
from .limits import Limits
from .photo_input import photo_of, refuse_large
from .service import Served

JSON, NPY = "application/json", "application/x-npy"


def kind_of(request: Request) -> str:
    """Of the body: JSON, NPY, or "photo" for the bytes of an image file.

    Raises:
        Refusal: 400, something else.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Refusal(400, "Compressed bodies are not taken; send the photo as it is, without Content-Encoding.")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in (JSON, NPY):
        return kind
    # curl --data-binary says that it sends a form
    if kind.startswith("image/") or kind in ("", "application/octet-stream", "application/x-www-form-urlencoded"):
        return "photo"
    raise Refusal(
        400, f"{kind[:100]} is not taken; send the photo's bytes as the body (curl --data-binary @photo.jpg), or JSON."
    )


async def body_of(request: Request, limits: Limits) -> bytes:
    """The whole body.

    Raises:
        Refusal: 413, it is too large; 408, it takes too long to arrive.
    """
    try:
        async with asyncio.timeout(limits.body_s):
            return await read_body(request, most=limits.body)
    except TimeoutError:
        raise Refusal(408, f"The body did not arrive within {limits.body_s:g} s; send it again.") from None


def preparation(
    photo: "bytes | np.ndarray | Image.Image", served: Served, limits: Limits, name: str
) -> Callable[[], np.ndarray]:
    """Work for a thread: decode a photo and prepare it for the network."""

    def prepare() -> np.ndarray:
        return served.network.prepare(decode(photo, served, limits, name))

    return prepare


def decode(photo: "bytes | np.ndarray | Image.Image", served: Served, limits: Limits, name: str) -> Image.Image:
    """RGB, upright.

    Raises:
        Refusal: as `photo_of`.
    """
    if isinstance(photo, Image.Image):
        return photo
    if isinstance(photo, np.ndarray):
        refuse_large(photo.shape[0] * photo.shape[1], limits.pixels, name)
        return Image.fromarray(photo)
    return photo_of(photo, most_pixels=limits.pixels, values=served.network.values, name=name)
