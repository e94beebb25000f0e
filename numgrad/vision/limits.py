"""Compressed files from anywhere: no more is unpacked than the size of one lets anybody believe, for a small file may be an endless one."""

from __future__ import annotations

import gzip
import os

_FLOOR = 1 << 28  # bytes that any file may unpack to
_RATIO = 100  # and a larger one to so many times its size: images compress to a half or a tenth, deflate's limit is 1,032 times
_LARGEST_READ = 1 << 20  # what nobody asks for but a header of an archive that lies


class TooMuchError(ValueError):
    """A compressed file that would unpack to more than it may."""


def allowance(size: int) -> int:
    """How many bytes a compressed file of this size may unpack to."""
    return max(_FLOOR, _RATIO * size)


def check_announced(announced: int, size: int, what: str) -> None:
    """TooMuchError if a compressed file of `size` bytes announces more than it may unpack to."""
    if announced > allowance(size):
        raise TooMuchError(f"{what} takes {announced} bytes, but a compressed file of {size} bytes may unpack to {allowance(size)} at most")


class Gunzipped:
    """A gzipped file to read from start to end, as far as its allowance goes; TooMuchError beyond."""

    def __init__(self, path: str) -> None:
        self.size = os.path.getsize(path)
        self._file = gzip.open(path)  # noqa: SIM115 (closed by close)

    def __enter__(self) -> Gunzipped:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """The next bytes, or less at the end."""
        if count > _LARGEST_READ:
            raise TooMuchError(f"a header of {count} bytes is announced")
        found = self._file.read(count)
        self._checked(self._file.tell())
        return found

    def tell(self) -> int:
        """How many bytes came so far."""
        return self._file.tell()

    def seek(self, place: int) -> int:
        """Go on at another place."""
        self._checked(place)
        return self._file.seek(place)

    def _checked(self, place: int) -> None:
        check_announced(place, self.size, "what it holds")
