"""Networks for images as torchvision builds them: the same names and shapes of parameters, so that its weights load. None comes trained."""

from typing import Any

from ...absent import absent_class
from ...lacking import refuse
from . import mobilenet, plain, resnet
from .mobilenet import *  # noqa: F403
from .plain import *  # noqa: F403
from .resnet import *  # noqa: F403

__all__ = [*resnet.__all__, *plain.__all__, *mobilenet.__all__]


def __getattr__(name: str) -> Any:
    if name.endswith("_Weights"):
        return absent_class(f"vision.models.{name}", "fetch the file yourself and read it with `model.load_state_dict(numgrad.load(path))`")
    refuse(__name__, name, f"there are {', '.join(n for n in __all__ if n.islower())}; write others with `numgrad.nn`")
