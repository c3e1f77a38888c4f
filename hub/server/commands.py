"""The command `hub serve`."""

import os
from pathlib import Path


def serve(directory: Path, /, *, port: int = 8080, host: str = "127.0.0.1", token: str | None = None) -> None:
    """Serve a private hub that the Hugging Face client, timm and transformers use through HF_ENDPOINT.

    Example: GOODVIEWS_HUB_TOKEN=secret goodviews hub serve /srv/hub --port 8080

    Args:
        directory: Folder of the hub; an empty or new one is made into one.
        port: Port to listen on; 0 takes any that is free.
        host: Address to listen on; the default serves this machine alone, another one needs a token.
        token: Secret that allows writing (default: the environment variable GOODVIEWS_HUB_TOKEN; without any the hub is
            read-only).
    """
    import secrets

    from ..output.terminal import Terminal
    from ..web import Token, require_token_for
    from ..web import serve as answer_requests
    from .app import hub_app
    from .state import VARIABLE, open_hub

    access = Token(token or os.environ.get(VARIABLE) or None)
    require_token_for(host, access, variable=VARIABLE)
    hub = open_hub(directory, token=access, secret=secrets.token_bytes(32))
    console = Terminal(soft_wrap=True, highlight=False)

    def ready(port: int) -> None:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        console.print(
            f"Hub: {address} ({'writing needs the token' if access.secret else 'read-only'}; Ctrl-C stops it)"
        )
        console.print(f"Use it with: export HF_ENDPOINT={address}")

    try:
        answer_requests(hub_app(hub), host=host, port=port, ready=ready)
    finally:
        hub.close()
