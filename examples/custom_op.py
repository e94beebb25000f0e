"""Your own op: a kernel, its gradient, and the property test that proves the gradient.

The op is a robust loss, x**2 / (1 + x**2) (Geman and McClure, 1985): quadratic near zero, and flat for outliers.
"""

import numpy as np

import numgrad
from numgrad.jit import empty, kernel, launch, prange
from numgrad.ops import op
from numgrad.testing import check_op


@kernel
def robust_kernel(y, x):
    for i in prange(y.size):
        y[i] = x[i] * x[i] / (1 + x[i] * x[i])


def forward(x):
    y = empty(x.shape, np.promote_types(x.dtype, np.float32))
    launch(robust_kernel, y.reshape(-1), np.ascontiguousarray(x).reshape(-1))
    return y


robust = op("robust", forward, vjp=lambda g, x: g * 2 * x / (1 + x * x) ** 2,
            reference=lambda x: x**2 / (1 + x**2), sample=lambda draw: ((draw.array(draw.shape()),), {}))  # fmt: skip

if __name__ == "__main__":
    x = numgrad.linspace(-2, 2, 5, requires_grad=True)
    robust(x).sum().backward()
    print(robust(x), x.grad, sep="\n")
    check_op(robust)
    print("value, gradient, second gradient, layouts, dtypes and thread counts: proved")
