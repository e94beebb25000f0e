"""Helpers around training: `numgrad.utils.data` feeds it."""

from . import data as data
