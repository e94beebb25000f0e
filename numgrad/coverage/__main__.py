"""`python -m numgrad.coverage`"""

from . import table

print(table())
