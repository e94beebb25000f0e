"""Arc sine, arc cosine and arc tangent: to a short interval by an identity, then a minimax polynomial."""
import math

from ..intrinsics import copysign, fabs, fma, like, maximum, minimum, polynomial, scalar, select, sqrt

# (asin(s) / s - 1) / s² in s² for |s| <= 1/2; greatest relative error 2**-27.6 and 2**-55.9.
_ASIN = ((0.16666754, 0.074952446, 0.04547683, 0.024148606, 0.042217325),
         (0.16666666666665383, 0.07500000000343049, 0.04464285682347993, 0.03038195933130165, 0.022371753523608887,
          0.0173597710838329, 0.013884598820454102, 0.012173276599552883, 0.006510865736794019, 0.019573872075584683,
          -0.016294021273777208, 0.03195893106240463))  # fmt: skip
# (atan(r) / r - 1) / r² in r² for |r| <= 1/2; 2**-27.5 and 2**-57.8.
_ATAN = ((-0.33333236, 0.19994324, -0.14176182, 0.101655304, -0.051415592),
         (-0.33333333333332993, 0.19999999999905638, -0.14285714276589637, 0.11111110667823619, -0.09090896435852193,
          0.07692076717732675, -0.06663837591117674, 0.05858471413586169, -0.0512273287696243, 0.04188444962283888,
          -0.027464672974655695, 0.010136748738948025))  # fmt: skip
# pi / 4 in two parts, the last bits of the first zero: up to 4 times it is exact.
_EIGHTH_TURN_HIGH = (0.785398006439209, 0.7853981633974483)
_EIGHTH_TURN_LOW = (1.5695824e-07, 3.061616997868383e-17)
_LARGE = (2.0**126, 2.0**1022)


@scalar
def _asin_parts(x):
    """s and asin(s) - s, of x itself up to 1/2 and of sqrt((1 - x) / 2) above, for x >= 0."""
    half = like(x, 0.5)
    square = select(x > half, fma(x, -half, half), x * x)
    s = select(x > half, sqrt(square), x)
    return s, s * square * polynomial(square, _ASIN)


@scalar
def asin(x):
    """Arc sine; NaN outside [-1, 1]."""
    magnitude = fabs(x)
    s, tail = _asin_parts(magnitude)
    high, low, two = like(x, _EIGHTH_TURN_HIGH), like(x, _EIGHTH_TURN_LOW), like(x, 2.0)
    y = high - s
    y = two * (y + (((high - y) - s) + (low - tail)))
    return copysign(select(magnitude > like(x, 0.5), y, s + tail), x)


@scalar
def acos(x):
    """Arc cosine; NaN outside [-1, 1]."""
    s, tail = _asin_parts(fabs(x))
    high, low, two, half = like(x, _EIGHTH_TURN_HIGH), like(x, _EIGHTH_TURN_LOW), like(x, 2.0), like(x, 0.5)
    signed_s, signed_tail = copysign(s, x), copysign(tail, x)
    y = two * high - (signed_s - (two * low - signed_tail))
    below = two * ((two * high - s) + (two * low - tail))
    return select(x > half, two * (s + tail), select(x < -half, below, y))


@scalar
def _angle(small, large, turn, sign):
    """turn pi / 4 + sign atan(small / large) for 0 <= small <= large and 0 < large."""
    shrink = select(large > like(large, _LARGE), like(large, 0.25), like(large, 1.0))
    small, large = small * shrink, large * shrink
    upper = small > like(large, 0.5) * large                     # atan(a / b) = pi / 4 - atan((b - a) / (b + a))
    r = select(upper, large - small, small) / select(upper, large + small, large)
    turn = select(upper, turn + sign, turn)
    sign = select(upper, -sign, sign)
    square = r * r
    angle = sign * r
    tail = fma(angle * square, polynomial(square, _ATAN), turn * like(turn, _EIGHTH_TURN_LOW))
    return turn * like(turn, _EIGHTH_TURN_HIGH) + (angle + tail)


@scalar
def atan(x):
    """Arc tangent."""
    one, magnitude = like(x, 1.0), fabs(x)
    inside = magnitude <= one
    small, large = select(inside, magnitude, one), select(inside, one, magnitude)
    large = select(large < like(x, math.inf), large, select(magnitude == magnitude, like(x, _LARGE), x))
    turn, sign = select(inside, like(x, 0.0), like(x, 2.0)), select(inside, one, -one)
    return copysign(_angle(small, large, turn, sign), x)


@scalar
def atan2(y, x):
    """The angle of the point (x, y), in [-pi, pi]; IEEE 754 says which for zeros and infinities."""
    zero, one, two, infinity = like(x, 0.0), like(x, 1.0), like(x, 2.0), like(x, math.inf)
    wide, high = fabs(x), fabs(y)
    small, large = minimum(wide, high), maximum(wide, high)
    small = select(small == infinity, one, select(large == infinity, zero, small))
    large = select((large == infinity) | (large == zero), one, large)
    steep, behind = high > wide, copysign(one, x) < zero
    # 0: turn 0, +; steep: a quarter turn less the angle; behind: half a turn less what it would be in front
    turn, sign = select(steep, two, zero), select(steep, -one, one)
    turn, sign = select(behind, two + two - turn, turn), select(behind, -sign, sign)
    return copysign(_angle(small, large, turn, sign), y)
