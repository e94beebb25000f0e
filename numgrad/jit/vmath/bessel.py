"""Modified Bessel functions of the first kind, orders 0 and 1, plain and times exp(-|x|); computed in float64, to 1e-15 of their values."""
import math

from ..intrinsics import copysign, fabs, like, polynomial, scalar, select, sqrt, widen
from .exponential import exp

# The power series in (x / 2)², whose terms are all positive: I0 and 2 I1 / x, for |x| <= 8.
_SMALL0 = tuple(1 / math.factorial(k) ** 2 for k in range(27))
_SMALL1 = tuple(1 / (math.factorial(k) * math.factorial(k + 1)) for k in range(27))
# sqrt(x) exp(-x) I(x) in t = 16 / x - 1 for x >= 8; 2**-53.7.
_LARGE0 = (0.4021765094450081, 0.0033605519836677504, 0.00013621607438984738, 1.1143033800708963e-05, 1.4838476651243113e-06,
           2.973596046566436e-07, 8.872034384391146e-08, 3.932889374732772e-08, 2.1566251369496517e-08, 7.53435586511508e-09,
           -6.849337808042706e-09, -1.3326094476811973e-08, -5.038107569650668e-09, 7.335968858624955e-09, 6.560140728702591e-09,
           -3.1346278365070395e-09, -4.575555762097453e-09, 1.105056034541107e-09, 2.196893853168747e-09, -2.803382692214254e-10,
           -6.633294236728678e-10, 3.629356560162059e-11, 9.365099687539125e-11)  # fmt: skip
_LARGE1 = (0.38939845902587233, -0.009749577193235635, -0.00021923576383172432, -1.503854720950184e-05, -1.8349102358948191e-06,
           -3.483853438041746e-07, -1.0001095660718958e-07, -4.313196489557974e-08, -2.3392503664031238e-08, -8.409182063790445e-09,
           6.8401386158937526e-09, 1.3958551079015601e-08, 5.5933711876201826e-09, -7.44444163837057e-09, -6.983841613554202e-09,
           3.086886947454458e-09, 4.810599750133757e-09, -1.05945458464734e-09, -2.2970058822557633e-09, 2.634077863408739e-10,
           6.917096437997637e-10, -3.365433296314105e-11, -9.752410031693174e-11)  # fmt: skip


@scalar
def i0e(x):
    """exp(-|x|) I0(x)."""
    z = fabs(widen(x))
    if z <= 8.0:
        return like(x, exp(-z) * polynomial(0.25 * z * z, _SMALL0))
    return like(x, polynomial(16.0 / z - 1.0, _LARGE0) / sqrt(z))


@scalar
def i1e(x):
    """exp(-|x|) I1(x)."""
    z = fabs(widen(x))
    if z <= 8.0:
        return like(x, exp(-z) * 0.5 * widen(x) * polynomial(0.25 * z * z, _SMALL1))
    return like(x, copysign(polynomial(16.0 / z - 1.0, _LARGE1) / sqrt(z), widen(x)))


@scalar
def i0(x):
    """I0(x)."""
    z = fabs(widen(x))
    if z <= 8.0:
        return like(x, polynomial(0.25 * z * z, _SMALL0))
    half = exp(0.5 * z)  # exp(z) is infinite before I0 is
    return like(x, select(z == math.inf, z, half * (polynomial(16.0 / z - 1.0, _LARGE0) / sqrt(z)) * half))


@scalar
def i1(x):
    """I1(x)."""
    z = fabs(widen(x))
    if z <= 8.0:
        return like(x, 0.5 * widen(x) * polynomial(0.25 * z * z, _SMALL1))
    half = exp(0.5 * z)
    return like(x, copysign(select(z == math.inf, z, half * (polynomial(16.0 / z - 1.0, _LARGE1) / sqrt(z)) * half), widen(x)))
