"""Images: datasets, transforms, files. Where a program imports torchvision, this can take its place."""

from . import datasets as datasets
from . import io as io
from . import models as models
from . import transforms as transforms
from . import utils as utils

__version__ = "0.21.0+numgrad"  # the version of torchvision's interface that this follows
