"""Files that appear whole or not at all: written beside their place, and moved there when complete."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from typing import Any

_UNFINISHED = re.compile(r"\.[0-9a-f]{8}\.tmp")
_OLD_SECONDS = 24 * 3600  # where no lock tells whether somebody is still writing a file, one that nobody touched for so long is left over


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Any]:
    """A binary file to write, which gets the name `path` at the end of the body; if that raises, nothing is left of it.

    Whoever is killed leaves `path.XXXXXXXX.tmp` behind: the next one who writes this path removes it, unless it is still being
    written. That is told by a lock that its writer holds or, where there are no locks, by its age.
    """
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise FileNotFoundError(errno.ENOENT, "Parent directory does not exist", os.path.dirname(path))
    remove_left_over(path)
    file, locked = _created(path)
    try:
        with file:
            if os.path.exists(path):
                os.chmod(file.name, stat.S_IMODE(os.stat(path).st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
            if locked:  # while it is: without its lock it would be anybody's
                os.replace(file.name, path)
        if not locked:
            os.replace(file.name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file.name)
        raise
    with contextlib.suppress(OSError):  # the new name survives a loss of power, too, where folders can be written out
        _write_out(os.path.dirname(path) or ".")


def remove_left_over(path: str) -> None:
    """Remove what writers of this path left unfinished who are no more."""
    folder, name = os.path.split(path)
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith(name) and _UNFINISHED.fullmatch(entry.name, len(name)) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _remove_unless_held(entry.path)


def _created(path: str) -> tuple[Any, bool]:
    """A new file beside `path`, and whether it is locked."""
    while True:
        file = open(f"{path}.{os.urandom(4).hex()}.tmp", "xb")  # noqa: SIM115 (closed by the caller)
        try:
            locked = bool(_lock(file.fileno(), wait=True))
            if not locked or _is_at(file.fileno(), file.name):
                return file, locked
            file.close()  # before it was locked, somebody took it for one left over
        except BaseException:
            file.close()
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise


def _remove_unless_held(path: str) -> None:
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        locked = _lock(descriptor, wait=False)
        if locked and _is_at(descriptor, path):  # nobody writes it, nor will: who makes a file looks whether it is still there once locked
            os.unlink(path)
        old = time.time() - os.fstat(descriptor).st_mtime > _OLD_SECONDS
    finally:
        os.close(descriptor)
    if locked is False and old:  # once closed, for some systems remove no file that is open
        os.unlink(path)


def _lock(descriptor: int, wait: bool) -> bool | None:
    """Lock a file: True if that was done, None if another one holds it, False where there are no locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return None
    except (ImportError, OSError):  # neither everywhere nor on every file system
        return False
    return True


def _is_at(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _write_out(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
