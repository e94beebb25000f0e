"""Multi-head attention against a loop over heads in NumPy, and what transformers are made of."""

import numpy as np
import pytest

import numgrad
from numgrad import nn
from numgrad.nn import functional as F

rng = np.random.default_rng(0)


def tensor(*shape):
    return numgrad.tensor(rng.normal(size=shape).astype(np.float32))


def filled(module):
    """The module with parameters that are not 0 or 1."""
    with numgrad.no_grad():
        for p in module.parameters():
            p.copy_(tensor(*p.shape) / 3)
    return module


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_heads(layer, q, k, v, mask):
    """One sequence, a head at a time: (L, E), (S, Ek), (S, Ev) to the result and the weights of each head."""
    state = {n: p.detach().numpy() for n, p in layer.named_parameters()}
    weights = [state[f"{n}_proj_weight"] for n in "qkv"] if layer.in_proj_weight is None else np.split(state["in_proj_weight"], 3)
    biases = np.split(state["in_proj_bias"], 3)
    q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
    if layer.bias_k is not None:
        k, v = (np.concatenate([x, state[n][0]]) for x, n in ((k, "bias_k"), (v, "bias_v")))
    if layer.add_zero_attn:
        k, v = (np.concatenate([x, np.zeros_like(x[:1])]) for x in (k, v))
    mask = np.pad(mask, ((0, 0), (0, k.shape[0] - mask.shape[1])))
    n, results, found = layer.head_dim, [], []
    for i in range(layer.num_heads):
        part = slice(i * n, (i + 1) * n)
        found.append(softmax(q[:, part] @ k[:, part].T / np.sqrt(n) + mask))
        results.append(found[-1] @ v[:, part])
    return np.concatenate(results, 1) @ state["out_proj.weight"].T + state["out_proj.bias"], np.stack(found)


@pytest.mark.interpreted
@pytest.mark.parametrize("options", [{}, {"add_bias_kv": True, "add_zero_attn": True}, {"kdim": 3, "vdim": 5, "batch_first": True}])
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention(options, need_weights):
    layer = filled(nn.MultiheadAttention(8, 2, **options))
    q, k, v = tensor(3, 4, 8), tensor(3, 6, layer.kdim), tensor(3, 6, layer.vdim)
    hidden = np.zeros((3, 6), bool)
    hidden[0, 2:4] = hidden[2, 5] = True
    added = np.where(np.tri(4, 6, 1) > 0, 0, -np.inf).astype(np.float32)
    given = (q, k, v) if layer.batch_first else [x.transpose(0, 1) for x in (q, k, v)]
    found, weights = layer(*given, key_padding_mask=numgrad.tensor(hidden), attn_mask=numgrad.tensor(added),
                           need_weights=need_weights, average_attn_weights=False)  # fmt: skip
    for n in range(3):
        mask = added + np.where(hidden[n], -np.inf, 0)
        expected, each = by_heads(layer, q[n].numpy(), k[n].numpy(), v[n].numpy(), mask)
        np.testing.assert_allclose(found[n if layer.batch_first else (slice(None), n)].detach().numpy(), expected, atol=2e-5)
        if need_weights:
            np.testing.assert_allclose(weights[n].detach().numpy(), each, atol=2e-5)
    assert need_weights or weights is None
    alone, mean = layer(q[0], k[0], v[0])
    np.testing.assert_allclose(alone.detach().numpy(), by_heads(layer, q[0].numpy(), k[0].numpy(), v[0].numpy(), np.zeros((4, 6)))[0], atol=2e-5)
    assert mean.shape == (4, 6 + len(set(options) & {"add_bias_kv", "add_zero_attn"}))


@pytest.mark.parametrize("call, kind, words", [
    (lambda: nn.MultiheadAttention(8, 3), AssertionError, "divisible"),
    (lambda: nn.MultiheadAttention(0, 3), ValueError, "greater than 0"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(4)] * 3), AssertionError, "received 1-D"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(3, 1, 6)] * 3), AssertionError, "embedding dimension of 4, but got 6"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(3, 1, 4)] * 3, is_causal=True), RuntimeError, "Need attn_mask"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(3, 1, 4)] * 3, attn_mask=numgrad.ones(2, 3)), RuntimeError, r"should be \(3, 3\)"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(3, 1, 4)] * 3, attn_mask=numgrad.ones(3, 3).long()), AssertionError, "only bool and floating"),
    (lambda: nn.MultiheadAttention(4, 2)(*[numgrad.ones(3, 1, 4)] * 3, key_padding_mask=numgrad.ones(1, 2)), AssertionError, r"\(1, 3\)"),
    (lambda: nn.TransformerEncoderLayer(4, 2, activation="sin"), RuntimeError, "relu/gelu"),
    (lambda: nn.Transformer(4, 2, 1, 1, 4)(numgrad.ones(3, 2, 4), numgrad.ones(3, 1, 4)), RuntimeError, "batch number"),
    (lambda: nn.Transformer(4, 2, 1, 1, 4)(numgrad.ones(3, 2, 5), numgrad.ones(3, 2, 4)), RuntimeError, "feature number"),
])  # fmt: skip
def test_errors(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


@pytest.mark.interpreted
@pytest.mark.parametrize("norm_first", [False, True])
def test_layers_are_their_parts(norm_first):
    layer = filled(nn.TransformerDecoderLayer(4, 2, 6, 0.0, F.gelu, norm_first=norm_first))
    x, memory = tensor(3, 2, 4), tensor(5, 2, 4)
    blocks = [lambda x: layer.self_attn(x, x, x)[0], lambda x: layer.multihead_attn(x, memory, memory)[0],
              lambda x: layer.linear2(F.gelu(layer.linear1(x)))]  # fmt: skip
    expected = x
    for norm, block in zip((layer.norm1, layer.norm2, layer.norm3), blocks, strict=True):
        expected = expected + block(norm(expected)) if norm_first else norm(expected + block(expected))
    np.testing.assert_allclose(layer(x, memory).detach().numpy(), expected.detach().numpy(), atol=2e-5)


def test_transformer():
    model = filled(nn.Transformer(8, 2, 2, 2, 16, 0.0, batch_first=True, bias=False))
    assert not [n for n, _ in model.named_parameters() if n.endswith("bias")]
    assert "decoder.layers.1.multihead_attn.in_proj_weight" in model.state_dict() and "encoder.norm.weight" in model.state_dict()
    src, tgt = tensor(2, 5, 8), tensor(2, 4, 8)
    causal = model.generate_square_subsequent_mask(4)
    assert causal.tolist()[1] == [0, 0, -np.inf, -np.inf]
    found = model(src, tgt, tgt_mask=causal)
    later = tgt.clone()
    later[:, 2] += 1
    changed = model(src, later, tgt_mask=causal, tgt_is_causal=True)
    np.testing.assert_allclose(changed[:, :2].detach().numpy(), found[:, :2].detach().numpy(), atol=2e-5)
    assert (changed[:, 2:] != found[:, 2:]).all()
    found.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
