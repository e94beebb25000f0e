"""Fetching a file from the first mirror that has it, whole and unaltered, however often the line breaks."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

_CHUNK = 1 << 16
_ATTEMPTS = 5  # for each mirror, as long as each brings the file further
_TIMEOUT_SECONDS = 30


def fetch(urls: Sequence[str], path: str, md5: str | None = None) -> None:
    """Download `path` from one of `urls` unless it is there.

    The bytes go to `path + ".part"`, where the next attempt, in this process or a later one, goes on; only a complete
    file with the right checksum gets its name. Raises RuntimeError with what went wrong at each mirror.
    """
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    problems = []
    with _part(path) as part:
        for url in urls:
            if os.path.exists(path):  # another process was faster
                return
            problem = _fetch_from(url, part, md5)
            if problem is None:
                part.flush()
                os.fsync(part.fileno())
                os.replace(part.name, path)
                return
            problems.append(f"{url}: {problem}")
    raise RuntimeError(f"could not download {path}:\n  " + "\n  ".join(problems))


@contextlib.contextmanager
def _part(path: str) -> Iterator[BinaryIO]:
    """The unfinished file, which processes that start together take turns at."""
    with open(path + ".part", "ab") as part:
        try:
            import fcntl

            fcntl.flock(part, fcntl.LOCK_EX)
        except (ImportError, OSError):  # neither everywhere nor on every file system
            pass
        yield part
        if os.path.exists(path):
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(part.fileno()), os.stat(path + ".part")):
                    os.unlink(path + ".part")


def _fetch_from(url: str, part: BinaryIO, md5: str | None) -> str | None:
    """Complete the file from this mirror; what was wrong, or None."""
    problem: str | None = None
    for _ in range(_ATTEMPTS):
        before = part.seek(0, os.SEEK_END)
        problem = _continue(url, part)
        if problem is None:
            part.flush()
            found = checksum(part.name)
            if md5 is None or found == md5:
                return None
            part.truncate(0)
            problem = f"its checksum is {found}, but should be {md5}"
            if before == 0:  # the mirror's own fault, not that of what was there before
                break
        elif part.seek(0, os.SEEK_END) <= before:
            break
    return problem


def _continue(url: str, part: BinaryIO) -> str | None:
    """Ask for what is missing and append it; what was wrong, or None."""
    import http.client
    import urllib.error
    import urllib.request

    if not url.startswith(("http://", "https://")):
        raise ValueError(f"only http and https are fetched, not {url}")
    start = part.seek(0, os.SEEK_END)
    request = urllib.request.Request(url, headers={"User-Agent": "numgrad", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            if start and not _goes_on_at(answer, start):
                part.truncate(0)
            while block := answer.read(_CHUNK):
                part.write(block)
            missing = answer.length
            return f"the connection ended {missing} bytes early" if missing else None
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:  # nothing is missing, or what is there is not this file: the checksum decides
            return None
        return str(error)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"


def _goes_on_at(answer, start: int) -> bool:
    return answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def checksum(path: str) -> str:
    """The MD5 of a file, in hexadecimal: it tells damage, not malice."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
