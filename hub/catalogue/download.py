"""One file over HTTP, resumed where a transfer broke: it lies beside its final name as .partial until it is whole."""

import email.utils
import http.client
import json
import logging
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ArtifactError
from ..files.atomic import write_json
from ..reports.provenance import version

log = logging.getLogger(__name__)

CHUNK = 1 << 20
ATTEMPTS = 5
TIMEOUT_S = 30.0
_STARTED = "started"  # what the partial file's note calls the server's mark of the version that was begun


class DeadAddress(ArtifactError):
    """There is nothing to download at the address: it is gone, or it is a web page."""


def download(address: str, target: Path, *, attempts: int = ATTEMPTS, pause_s: float = 1.0) -> Path:
    """Fetch a file unless it is there.

    A broken transfer goes on where it ended, by itself `attempts` times and at the next call after that, unless the
    server has another version of the file by then.

    Raises:
        DeadAddress: the address has no file.
        ArtifactError: the network or the server failed; what has arrived is kept.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    for attempt in range(1, attempts + 1):
        try:
            _transfer(address, partial)
            break
        except DeadAddress:
            raise
        except (OSError, http.client.HTTPException) as error:
            if attempt == attempts or _is_final(error):
                raise _failure(address, partial, error) from error
            log.info("%s broke off (%s); going on", address, _short(error))
            time.sleep(pause_s * attempt)
    partial.replace(target)
    _note(partial).unlink(missing_ok=True)
    return target


def _transfer(address: str, partial: Path) -> None:
    offset = partial.stat().st_size if partial.is_file() else 0
    mark = _mark_of(partial)
    request = urllib.request.Request(address, headers={"User-Agent": f"goodviews/{version()}"})
    if offset and mark:
        request.add_header("Range", f"bytes={offset}-")
        request.add_header("If-Range", mark)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # the partial file is not the beginning of what is there now
            partial.unlink(missing_ok=True)
            raise ConnectionResetError("the server has another file than before") from error
        raise
    with answer:
        _refuse_web_pages(address, answer.headers)
        goes_on = answer.status == 206 and _begins_at(answer.headers, offset)
        if not goes_on:
            offset = 0
            write_json(_note(partial), {"address": address, _STARTED: _mark(answer.headers)})
        with partial.open("ab" if goes_on else "wb") as stream:
            expected = _length(answer.headers)
            received = _copy(answer, stream)
    if expected is not None and received < expected:
        raise ConnectionResetError(f"{offset + received} of {offset + expected} bytes arrived")


def _copy(answer: Any, stream: Any) -> int:
    """A connection that ends early gives what it had; the caller counts."""
    received = 0
    while True:
        try:
            chunk = answer.read(CHUNK)
        except http.client.IncompleteRead as error:
            chunk = error.partial
            stream.write(chunk)
            return received + len(chunk)
        if not chunk:
            return received
        stream.write(chunk)
        received += len(chunk)


def _refuse_web_pages(address: str, headers: Mapping[str, str]) -> None:
    if headers.get("Content-Type", "").startswith("text/html"):
        raise DeadAddress(f"{address} answers with a web page, not with a file")


def _mark(headers: Mapping[str, str]) -> str | None:
    """What tells one version of a file from the next, if the server says it in a way that a range may rely on."""
    tag = headers.get("ETag")
    if tag and not tag.startswith("W/"):
        return tag
    changed = headers.get("Last-Modified")
    return changed if changed and email.utils.parsedate(changed) else None


def _mark_of(partial: Path) -> str | None:
    try:
        mark: str | None = json.loads(_note(partial).read_text("utf-8"))[_STARTED]
        return mark
    except (OSError, ValueError, KeyError):
        return None


def _note(partial: Path) -> Path:
    return partial.with_name(partial.name + ".json")


def _begins_at(headers: Mapping[str, str], offset: int) -> bool:
    return headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _is_final(error: Exception) -> bool:
    """What the next attempt would meet again: a refusal, or nobody there."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code < 500 and error.code not in (408, 429)
    reason = getattr(error, "reason", error)
    return isinstance(reason, socket.gaierror | ConnectionRefusedError | ssl.SSLCertVerificationError)


def _failure(address: str, partial: Path, error: Exception) -> ArtifactError:
    if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403, 404, 410):
        return DeadAddress(f"{address} answers {error.code} ({error.reason})")
    remains = f"; the {partial.stat().st_size / 1e6:.0f} MB that arrived are kept" if partial.is_file() else ""
    return ArtifactError(
        f"{address} could not be downloaded ({_short(error)}){remains}. Check the connection and call again."
    )


def _short(error: Exception) -> str:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return str(reason) or type(reason).__name__
