"""Helpers around training: `numgrad.utils.data` feeds it, `numgrad.utils.checkpoint` saves its memory."""

from . import checkpoint as checkpoint
from . import data as data
