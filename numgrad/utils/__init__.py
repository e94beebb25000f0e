"""Helpers around training: `numgrad.utils.data` feeds it."""

from . import checkpoint as checkpoint
from . import data as data
