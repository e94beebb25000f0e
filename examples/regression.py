"""Linear and logistic regression on real tables, by gradients, beside what closed forms and Newton's method find.

Linear: the progress of diabetes a year after ten measurements of 442 patients (Efron et al. 2004), by LBFGS and by least squares.
Logistic: 569 tumours, benign or malignant, from 30 measurements of their cells (Street et al. 1993), with a ridge of 1e-2.

usage: python examples/regression.py [--epochs N] [--seed N]
"""

import argparse

import numgrad
import numgrad.nn as nn
import numgrad.nn.functional as F


def tables():
    """Two tables of features and targets; the features have mean 0 and variance 1."""
    try:
        from sklearn.datasets import load_breast_cancer, load_diabetes
    except ImportError:
        raise SystemExit("the tables come with scikit-learn: pip install 'numgrad[data]'") from None

    for load in (load_diabetes, load_breast_cancer):
        features, targets = load(return_X_y=True)
        x = numgrad.from_numpy(features).double()
        yield (x - x.mean(0)) / x.std(0), numgrad.from_numpy(targets).double()


def halves(x, y, share=0.8):
    """Rows in random order, cut into those to learn from and those to test with."""
    order = numgrad.randperm(len(x))
    first, rest = order[: int(share * len(x))], order[int(share * len(x)) :]
    return x[first], y[first], x[rest], y[rest]


def fit(model, loss_of, epochs):
    """Train on all rows at once with LBFGS."""
    optimizer = numgrad.optim.LBFGS(model.parameters(), lr=1, max_iter=20, line_search_fn="strong_wolfe", tolerance_grad=1e-10)

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    for _ in range(epochs):
        optimizer.step(closure)
    return loss_of(model).item()


def linear(x, y, test_x, test_y, epochs):
    """Mean squared error; the closed form is the solution of the least squares problem."""
    model = nn.Linear(x.shape[1], 1, dtype=numgrad.float64)
    fit(model, lambda m: F.mse_loss(m(x).squeeze(1), y), epochs)
    ones = numgrad.ones(len(x), 1, dtype=numgrad.float64)
    exact = numgrad.linalg.lstsq(numgrad.cat([x, ones], 1), y.unsqueeze(1)).solution.squeeze(1)
    with numgrad.no_grad():
        apart = max((model.weight[0] - exact[:-1]).abs().max().item(), abs(model.bias.item() - exact[-1].item()))
        explained = 1 - F.mse_loss(model(test_x).squeeze(1), test_y) / test_y.var(correction=0)
    print(f"linear: greatest difference from least squares {apart:.2e}, explains {explained.item():.3f} of the variance of unseen patients")


def logistic(x, y, test_x, test_y, epochs, ridge=1e-2):
    """Cross entropy with a ridge; beside it Newton's method, which needs second derivatives."""
    loss_of = lambda m: F.binary_cross_entropy_with_logits(m(x).squeeze(1), y) + ridge * m.weight.square().sum()
    model = nn.Linear(x.shape[1], 1, dtype=numgrad.float64)
    found = fit(model, loss_of, epochs)

    def loss_at(w):
        return F.binary_cross_entropy_with_logits(x @ w[:-1] + w[-1], y) + ridge * w[:-1].square().sum()

    w = numgrad.zeros(x.shape[1] + 1, dtype=numgrad.float64)
    for _ in range(12):
        w = w - numgrad.linalg.solve(numgrad.func.hessian(loss_at)(w), numgrad.func.grad(loss_at)(w))
    with numgrad.no_grad():
        accuracy = ((model(test_x).squeeze(1) > 0) == (test_y > 0.5)).double().mean().item()
    print(f"logistic: loss {found:.8f}, Newton's method {loss_at(w).item():.8f}, accuracy on unseen tumours {accuracy:.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--epochs", type=int, default=20, help="steps of LBFGS, of 20 iterations each")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    numgrad.manual_seed(options.seed)
    patients, tumours = tables()
    linear(*halves(*patients), options.epochs)
    logistic(*halves(*tumours), options.epochs)


if __name__ == "__main__":
    main()
