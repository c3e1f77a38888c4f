"""The command `serve`."""

import os
from pathlib import Path


def serve(
    indexes: list[Path],
    /,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    encoder: str | None = None,
    device: str = "auto",
) -> None:
    """Serve a page and an HTTP API that search indexes by photo.

    The page needs no internet. /api describes the API, /metrics is for Prometheus. An index that changes is read anew.

    Example: goodviews serve index --port 8000

    Args:
        indexes: Index folders, one or several.
        host: Address to listen on; the default serves this machine alone, another one needs a token.
        port: Port to listen on; 0 takes any that is free.
        token: Secret that every request must bring, and that the page asks for (default: the environment variable
            GOODVIEWS_SERVE_TOKEN; without any, this machine is served without one).
        encoder: Where the indexes' encoder is now, on PyTorch or exported; by default where it was.
        device: What computes: auto is the GPU if there is one; else cpu, cuda, cuda:1, ...
    """
    from ...hub.output.terminal import Terminal
    from ...hub.web import Token, require_token_for
    from ...hub.web import serve as answer_requests
    from ..index.open_encoder import encoder_of
    from ..printing import print_line
    from .access import VARIABLE
    from .app import service_app
    from .service import Service

    access = Token(token or os.environ.get(VARIABLE) or None)
    require_token_for(host, access, variable=VARIABLE)
    service = Service(indexes, lambda index: encoder_of(index, encoder, device=device), token=access)
    console = Terminal(soft_wrap=True, highlight=False)

    def ready(port: int) -> None:
        for name in service.names:
            served = service.served(name)
            print_line(console, f"{name}: {len(served.collection)} photos, encoded by {served.network.name}")
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        needs = "asks for the token" if access.secret else "this machine alone"
        print_line(console, f"Search page: {address} ({needs}; Ctrl-C stops it)")
        print_line(console, f"API: {address}/api")

    try:
        answer_requests(service_app(service), host=host, port=port, ready=ready)
    finally:
        service.close()
