"""Models from the network: not loaded."""

from __future__ import annotations

import os
import re

from numgrad.lacking import refused

_INSTEAD = "write the model with `numgrad.nn`, download its weights yourself and read them with `numgrad.load(path)`"
load = refused("hub.load", _INSTEAD)
help = refused("hub.help", _INSTEAD)
list = refused("hub.list", _INSTEAD)
load_state_dict_from_url = refused("hub.load_state_dict_from_url", _INSTEAD)
download_url_to_file = refused("hub.download_url_to_file", "use `urllib.request.urlretrieve`")

#: The first letters of a file's SHA-256, between "-" and "." in its name.
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_folder: str | None = None


def get_dir() -> str:
    """The folder for downloaded models."""
    return _folder or os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "numgrad", "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Set the folder for downloaded models."""
    global _folder
    _folder = os.fspath(d)
