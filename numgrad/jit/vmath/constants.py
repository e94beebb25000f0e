"""Numbers that describe the two float formats, as pairs: (for float32, for float64)."""
MANTISSA_BITS = (23, 52)
EXPONENT_BIAS = (127, 1023)
SMALLEST_NORMAL = (2.0**-126, 2.0**-1022)
HALF_EPSILON = (2.0**-25, 2.0**-54)                     # x this small changes nothing when added to 1
LN2_HIGH = (0.693145751953125, 0.6931471805598903)      # last bits zero: k * LN2_HIGH is exact for any exponent k
LN2_LOW = (1.4286068e-06, 5.497923018708371e-14)
LOG2_E = 1.4426950408889634
