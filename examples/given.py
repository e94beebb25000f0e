"""What `--data DIR` names: files in DIR, or in folders below it."""

from pathlib import Path


def find(folder, name):
    """The files of that name, which may be a pattern; without any, the program ends and says so."""
    found = sorted(Path(folder).rglob(name))
    if not found:
        raise SystemExit(f"--data {folder}: there is no {name} in it")
    return found
