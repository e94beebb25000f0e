"""Random numbers: Philox against its published test vector, distributions against their moments, and who seeds whom."""

import math
import pickle

import numpy as np
import pytest

import numgrad as ng
from numgrad.ops import random


def test_philox_gives_the_published_words():
    """Random123's known answer for philox4x32-10 with counter 0 and key 0."""
    words = ng.Generator().manual_seed(0).words(4)
    assert [hex(w) for w in words.tolist()] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_a_seed_fixes_the_numbers_and_states_resume():
    ng.manual_seed(3)
    first, state, second = ng.rand(5), ng.get_rng_state(), ng.randn(5)
    assert not ng.equal(first, ng.rand(5))
    ng.set_rng_state(state)
    assert ng.equal(ng.randn(5), second)
    ng.manual_seed(3)
    assert ng.equal(ng.rand(5), first) and ng.initial_seed() == 3
    ng.manual_seed(-1)
    assert ng.initial_seed() == 2**64 - 1


def test_generators_are_independent_of_the_default_one():
    ng.manual_seed(0)
    expected = ng.rand(3)
    ng.manual_seed(0)
    mine = ng.Generator().manual_seed(7)
    ng.rand(4, generator=mine)
    assert ng.equal(ng.rand(3), expected)
    copy = pickle.loads(pickle.dumps(mine))
    assert ng.equal(ng.rand(3, generator=copy), ng.rand(3, generator=mine))


@pytest.mark.parametrize("dtype", [ng.float32, ng.float64])
def test_moments(dtype):
    """Means and variances within five standard errors."""
    n = 4000
    generator = ng.Generator().manual_seed(1)
    uniform = ng.rand(n, dtype=dtype, generator=generator).numpy()
    assert uniform.dtype == dtype.numpy and uniform.min() >= 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 5 / math.sqrt(12 * n)
    normal = ng.randn(n, dtype=dtype, generator=generator).numpy()
    assert abs(normal.mean()) < 5 / math.sqrt(n) and abs(normal.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((normal**3).mean()) < 5 * math.sqrt(15 / n)
    exponential = ng.empty(n, dtype=dtype).exponential_(2.0, generator=generator).numpy()
    assert exponential.min() >= 0 and abs(exponential.mean() - 0.5) < 5 * 0.5 / math.sqrt(n)


def test_odd_sizes_and_empty_ones():
    assert ng.randn(3).shape == (3,) and ng.randn(0, 2).shape == (0, 2) and ng.randn(()).shape == () and ng.rand(5, 0).numel() == 0
    assert ng.randperm(0).shape == (0,) and ng.randint(5, (0,)).dtype is ng.int64


def test_integers_fill_their_range():
    found = ng.randint(-3, 4, (3000,))
    assert sorted(set(found.tolist())) == list(range(-3, 4))
    counts = np.bincount(found.numpy() + 3)
    assert abs(counts - 3000 / 7).max() < 5 * math.sqrt(3000 / 7)
    wide = ng.randint(0, 2**62, (1000,)).double().mean().item() / 2**62
    assert abs(wide - 0.5) < 5 / math.sqrt(12 * 1000)
    assert ng.randint(high=5, size=(2,)).shape == (2,) and ng.randint(2, 5, (2, 2), dtype=ng.int32).dtype is ng.int32
    with pytest.raises(RuntimeError, match="from=3 >= to=3"):
        ng.randint(3, 3, (2,))


def test_integers_use_the_high_half_of_the_product():
    words = ng.Generator().manual_seed(5).words(40).astype(object)
    bits = [int(words[2 * i]) << 32 | int(words[2 * i + 1]) for i in range(20)]
    for span in (7, 2**31, 2**33 + 12345, 2**62 + 1):
        found = random.integer_array((20,), 0, span, np.dtype(np.int64), ng.Generator().manual_seed(5))
        assert [b * span >> 64 for b in bits] == pytest.approx(found.tolist(), abs=1)


def test_permutations():
    order = ng.randperm(100)
    assert sorted(order.tolist()) == list(range(100)) and order.tolist() != list(range(100))
    firsts = [ng.randperm(3).tolist()[0] for _ in range(300)]
    assert all(abs(firsts.count(i) - 100) < 5 * math.sqrt(300 * 2 / 9) for i in range(3))


def test_bernoulli_and_dropout():
    p = ng.full((4000,), 0.25)
    assert abs(ng.bernoulli(p).mean().item() - 0.25) < 5 * math.sqrt(0.1875 / 4000)
    with pytest.raises(RuntimeError, match="p_in"):
        ng.bernoulli(ng.tensor([1.5]))
    x = ng.ones(4000, requires_grad=True)
    y = ng.dropout(x, 0.2, True)
    kept = y.detach().numpy() != 0
    assert abs(kept.mean() - 0.8) < 5 * math.sqrt(0.16 / 4000) and np.allclose(y.detach().numpy()[kept], 1.25)
    y.sum().backward()
    assert ng.equal(x.grad, y.detach())
    assert ng.dropout(x, 0.2, False) is x and not ng.dropout(x, 1.0, True).any()
    channels = ng.feature_dropout(ng.ones(8, 16, 3, 3), 0.5, True)
    per_channel = channels.reshape(128, 9)
    assert ng.equal(per_channel.amax(1), per_channel.amin(1))
    with pytest.raises(ValueError, match="between 0 and 1"):
        ng.dropout(x, -0.1, True)


def test_alpha_dropout_keeps_mean_and_variance():
    x = ng.randn(20000, generator=ng.Generator().manual_seed(2))
    y = ng.alpha_dropout(x, 0.3, True)
    assert abs(y.mean().item()) < 0.05 and abs(y.var().item() - 1) < 0.06


def test_multinomial():
    weights = ng.tensor([0.0, 1.0, 3.0])
    drawn = ng.multinomial(weights, 4000, replacement=True).numpy()
    assert set(drawn) == {1, 2} and abs((drawn == 2).mean() - 0.75) < 5 * math.sqrt(0.1875 / 4000)
    rows = ng.multinomial(ng.tensor([[1.0, 1, 1], [0, 2, 1]]), 2)
    assert rows.shape == (2, 2) and all(len(set(r)) == 2 for r in rows.tolist()) and 0 not in rows[1].tolist()
    with pytest.raises(RuntimeError, match="sum of probabilities"):
        ng.multinomial(ng.zeros(3), 1)


def test_filling_in_place():
    x = ng.empty(1000, dtype=ng.float64)
    assert x.uniform_(2, 3) is x and x.min().item() >= 2 and x.max().item() < 3
    assert abs(x.normal_(5, 0.1).mean().item() - 5) < 5 * 0.1 / math.sqrt(1000)
    assert set(ng.empty(100, dtype=ng.int64).random_(2, 5).tolist()) == {2, 3, 4}
    assert ng.empty(100, dtype=ng.uint8).random_().max().item() > 100
    leaf = ng.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        leaf.normal_()
    with ng.no_grad():
        leaf.uniform_()
    with pytest.raises(RuntimeError, match="std >= 0"):
        x.normal_(0, -1)


def test_normal_takes_tensors():
    assert ng.normal(0.0, 1.0, (2, 3)).shape == (2, 3)
    mean = ng.normal(ng.arange(0.0, 4.0) * 100, 0.001)
    assert ng.allclose(mean, ng.tensor([0.0, 100, 200, 300]), atol=0.1)
    assert ng.normal(ng.zeros(3), ng.ones(3)).shape == (3,)


@pytest.mark.parametrize("count", [1, 7, 1024, 2051])
def test_numbers_and_masks_are_made_of_the_words_in_their_order(count):
    words = ng.Generator().manual_seed(3).words(count)[:count]
    numbers = (words >> 8) * 2.0**-24
    assert np.array_equal(ng.rand(count, generator=ng.Generator().manual_seed(3)).numpy(), numbers)
    for p in (1e-9, 0.3, 0.5, 0.9999999):
        ng.manual_seed(3)
        kept = ng.nn.functional.dropout(ng.ones(count), p).numpy() != 0
        assert np.array_equal(kept, numbers >= np.float32(p))
    assert ng.default_generator._state[1] == -(-count // 4)
