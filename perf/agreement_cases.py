"""Modules with inputs, prunings, and optimizers with settings, to compare with PyTorch's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .agreement import Call


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(-1, 1, shape)


def _labels(*shape: int, below: int = 4) -> np.ndarray:
    return np.random.default_rng([1, *shape]).integers(0, below, shape)


ROWS, IMAGES, SERIES, CUBES = (4, 6), (2, 4, 7, 8), (2, 4, 9), (2, 4, 5, 6, 5)

#: modules of elements
ELEMENTWISE: list[tuple[str, dict[str, Any]]] = [
    (name, {}) for name in (
        "Identity", "ReLU", "ReLU6", "Sigmoid", "Tanh", "Softplus", "Softsign", "Softshrink", "Hardshrink", "Hardsigmoid", "Hardswish",
        "Hardtanh", "Tanhshrink", "LogSigmoid", "GELU", "SiLU", "Mish", "ELU", "SELU", "CELU", "LeakyReLU", "PReLU", "Flatten",
    )
] + [
    ("GELU", {"approximate": "tanh"}), ("PReLU", {"num_parameters": 6}), ("RReLU", {"lower": 0.25, "upper": 0.25}), ("Threshold", {"threshold": 0.1, "value": 3.0}),
    ("Softmax", {"dim": 1}), ("LogSoftmax", {"dim": 0}), ("Softmin", {"dim": -1}), ("GLU", {}), ("Dropout", {"p": 0.0}),
    ("AlphaDropout", {"p": 0.0}), ("ELU", {"alpha": 0.5}), ("Softplus", {"beta": 2.0, "threshold": 1.0}), ("Linear", {"in_features": 6, "out_features": 3}),
    ("Linear", {"in_features": 6, "out_features": 3, "bias": False}), ("LazyLinear", {"out_features": 3}),
    ("LayerNorm", {"normalized_shape": 6}), ("LayerNorm", {"normalized_shape": [6], "bias": False}), ("RMSNorm", {"normalized_shape": 6}),
    ("BatchNorm1d", {"num_features": 6}), ("BatchNorm1d", {"num_features": 6, "affine": False, "momentum": None}),
    ("BatchNorm1d", {"num_features": 6, "track_running_stats": False}), ("LazyBatchNorm1d", {}), ("GroupNorm", {"num_groups": 2, "num_channels": 6}),
    ("Unflatten", {"dim": 1, "unflattened_size": (2, 3)}), ("LSTMCell", {"input_size": 6, "hidden_size": 5}),
    ("GRUCell", {"input_size": 6, "hidden_size": 5}), ("RNNCell", {"input_size": 6, "hidden_size": 5}),
    ("RNNCell", {"input_size": 6, "hidden_size": 5, "nonlinearity": "relu"}),
]  # fmt: skip

#: modules of planes: the shape of the input, the name, settings
PLANES: list[tuple[tuple[int, ...], str, dict[str, Any]]] = [
    (IMAGES, "Conv2d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3}),
    (IMAGES, "Conv2d", {"in_channels": 4, "out_channels": 6, "kernel_size": (3, 2), "stride": 2, "padding": 1, "dilation": (1, 2), "groups": 2, "bias": False}),
    *((IMAGES, "Conv2d", {"in_channels": 4, "out_channels": 4, "kernel_size": 3, "padding": 1, "padding_mode": mode}) for mode in ("reflect", "replicate", "circular")),
    (IMAGES, "Conv2d", {"in_channels": 4, "out_channels": 8, "kernel_size": 3, "padding": "same", "groups": 4}),
    (SERIES, "Conv1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "stride": 2}),
    (CUBES, "Conv3d", {"in_channels": 4, "out_channels": 2, "kernel_size": 3, "padding": 1}),
    (SERIES, "ConvTranspose1d", {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "stride": 2, "output_padding": 1}),
    (IMAGES, "ConvTranspose2d", {"in_channels": 4, "out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 1, "groups": 2}),
    (CUBES, "ConvTranspose3d", {"in_channels": 4, "out_channels": 2, "kernel_size": 2, "stride": 2}),
    *((IMAGES, f"Lazy{name}", {"out_channels": 3, "kernel_size": 3}) for name in ("Conv2d", "ConvTranspose2d")),
    *((shape, f"{kind}Pool{d}d", {"kernel_size": 2}) for d, shape in ((1, SERIES), (2, IMAGES), (3, CUBES)) for kind in ("Max", "Avg")),
    (IMAGES, "MaxPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}),
    (IMAGES, "AvgPool2d", {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}),
    *((shape, f"Adaptive{kind}Pool{d}d", {"output_size": 3}) for d, shape in ((1, SERIES), (2, IMAGES), (3, CUBES)) for kind in ("Max", "Avg")),
    (SERIES, "LPPool1d", {"norm_type": 2, "kernel_size": 3}), (IMAGES, "LPPool2d", {"norm_type": 3.0, "kernel_size": 2}),
    *((shape, f"BatchNorm{d}d", {"num_features": 4}) for d, shape in ((1, SERIES), (2, IMAGES), (3, CUBES))),
    *((shape, f"InstanceNorm{d}d", {"num_features": 4, "affine": True, "track_running_stats": True}) for d, shape in ((1, SERIES), (2, IMAGES), (3, CUBES))),
    (IMAGES, "InstanceNorm2d", {"num_features": 4}), (IMAGES, "GroupNorm", {"num_groups": 2, "num_channels": 4}),
    (IMAGES, "LayerNorm", {"normalized_shape": [7, 8]}), (IMAGES, "LocalResponseNorm", {"size": 3}),
    *((shape, f"{kind}Pad{d}d", {"padding": 2}) for d, shape in ((1, SERIES), (2, IMAGES), (3, CUBES)) for kind in ("Reflection", "Replication", "Zero", "Circular")),
    (IMAGES, "ConstantPad2d", {"padding": (1, -1, 2, 0), "value": 0.5}),
    (IMAGES, "Upsample", {"scale_factor": 2}), (IMAGES, "Upsample", {"size": (5, 9), "mode": "bilinear"}),
    (IMAGES, "Upsample", {"scale_factor": 1.5, "mode": "bicubic", "align_corners": True}), (IMAGES, "UpsamplingBilinear2d", {"scale_factor": 2}),
    (IMAGES, "UpsamplingNearest2d", {"scale_factor": 2}), (IMAGES, "PixelShuffle", {"upscale_factor": 2}), (IMAGES, "ChannelShuffle", {"groups": 2}),
    (IMAGES, "Unfold", {"kernel_size": 3, "padding": 1}), (IMAGES, "Softmax2d", {}), (IMAGES, "Dropout2d", {"p": 0.0}),
    ((2, 12, 9), "Fold", {"output_size": (4, 4), "kernel_size": 2}), ((2, 4, 8, 8), "PixelUnshuffle", {"downscale_factor": 2}),
]  # fmt: skip

#: recurrent layers and attention: the shapes of the inputs, the name, settings
SEQUENCES: list[tuple[list[tuple[int, ...]], str, dict[str, Any]]] = [
    *(([(7, 3, 5)], name, {"input_size": 5, "hidden_size": 4, **settings})
      for name in ("RNN", "LSTM", "GRU")
      for settings in ({}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bias": False})),
    ([(7, 3, 5)], "RNN", {"input_size": 5, "hidden_size": 4, "nonlinearity": "relu"}),
    ([(7, 5)], "GRU", {"input_size": 5, "hidden_size": 4}),
    ([(7, 3, 5)], "LSTM", {"input_size": 5, "hidden_size": 6, "proj_size": 3, "num_layers": 2, "bidirectional": True}),
    ([(5, 3, 8)] * 3, "MultiheadAttention", {"embed_dim": 8, "num_heads": 2}),
    ([(3, 5, 8), (3, 6, 4), (3, 6, 5)], "MultiheadAttention", {"embed_dim": 8, "num_heads": 2, "kdim": 4, "vdim": 5, "batch_first": True, "add_bias_kv": True, "add_zero_attn": True}),
    *(([(5, 3, 8)], "TransformerEncoderLayer", {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "dropout": 0.0, **settings})
      for settings in ({}, {"activation": "gelu", "norm_first": True, "batch_first": True, "bias": False})),
    *(([(5, 3, 8), (4, 3, 8)], "TransformerDecoderLayer", {"d_model": 8, "nhead": 2, "dim_feedforward": 16, "dropout": 0.0, **settings})
      for settings in ({}, {"norm_first": True})),
    ([(5, 3, 8), (4, 3, 8)], "Transformer", {"d_model": 8, "nhead": 2, "num_encoder_layers": 1, "num_decoder_layers": 2, "dim_feedforward": 16, "dropout": 0.0}),
    ([(4, 5), (4, 6)], "Bilinear", {"in1_features": 5, "in2_features": 6, "out_features": 3}),
    ([(4, 6), (4, 6)], "CosineSimilarity", {}), ([(4, 6), (4, 6)], "PairwiseDistance", {"p": 3.0, "keepdim": True}),
]  # fmt: skip

#: losses: the name, settings, the inputs
_scores, _other, _sign = _numbers(5, 4), _numbers(5, 4, seed=1), np.sign(_numbers(5, seed=2))
_chances, _ones = 0.5 + 0.4 * _scores, (_other > 0).astype(float)
LOSSES: list[tuple[str, dict[str, Any], list[np.ndarray]]] = [
    *((name, {"reduction": reduction}, [_scores, _other]) for name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss") for reduction in ("mean", "sum", "none")),
    *(("CrossEntropyLoss", settings, [_scores, _labels(5)]) for settings in ({}, {"label_smoothing": 0.1}, {"ignore_index": 2, "reduction": "none"})),
    ("CrossEntropyLoss", {}, [_scores, _chances]), ("NLLLoss", {"reduction": "sum"}, [_scores, _labels(5)]),
    ("NLLLoss", {}, [_numbers(2, 4, 3, 3), _labels(2, 3, 3)]), ("BCELoss", {}, [_chances, _ones]), ("BCEWithLogitsLoss", {}, [_scores, _ones]),
    ("KLDivLoss", {"reduction": "batchmean"}, [_scores, _chances]), ("KLDivLoss", {"log_target": True}, [_scores, _other]),
    ("SoftMarginLoss", {}, [_scores, 2 * _ones - 1]), ("MultiLabelSoftMarginLoss", {}, [_scores, _ones]), ("HingeEmbeddingLoss", {}, [_scores, 2 * _ones - 1]),
    ("MultiMarginLoss", {"p": 2}, [_scores, _labels(5)]), ("MultiLabelMarginLoss", {}, [_scores, np.array([[1, 3, -1, 0]] * 5)]),
    ("CosineEmbeddingLoss", {"margin": 0.1}, [_scores, _other, _sign]), ("MarginRankingLoss", {"margin": 0.1}, [_scores[:, 0], _other[:, 0], _sign]),
    ("TripletMarginLoss", {"swap": True}, [_scores, _other, _chances]), ("TripletMarginWithDistanceLoss", {}, [_scores, _other, _chances]),
    ("GaussianNLLLoss", {"full": True}, [_scores, _other, _chances]),
    ("CTCLoss", {}, [np.log(np.full((6, 2, 5), 0.2)) + 0 * _numbers(6, 2, 5), 1 + _labels(2, 3), np.array([6, 5]), np.array([3, 2])]),
    ("Embedding", {"num_embeddings": 7, "embedding_dim": 3, "padding_idx": 2}, [_labels(4, 3, below=7)]),
    ("Embedding", {"num_embeddings": 7, "embedding_dim": 3, "max_norm": 0.5}, [_labels(4, 3, below=7)]),
    *(("EmbeddingBag", {"num_embeddings": 7, "embedding_dim": 3, "mode": mode}, [_labels(4, 3, below=7)]) for mode in ("sum", "mean", "max")),
    ("AdaptiveLogSoftmaxWithLoss", {"in_features": 4, "n_classes": 9, "cutoffs": [3, 6], "div_value": 2.0}, [_scores, _labels(5, below=9)]),
]  # fmt: skip

#: optimizers and settings
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.05}), ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.01}), ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    ("SGD", {"lr": 0.05, "maximize": True}), *((name, {}) for name in ("Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "Adagrad", "Adadelta", "ASGD", "Adafactor", "Muon")),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "amsgrad": True}), ("AdamW", {"lr": 0.02, "amsgrad": True, "maximize": True}),
    ("Adamax", {"lr": 0.02, "weight_decay": 0.1}), ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True}), ("RAdam", {"lr": 0.02, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.5, "centered": True, "weight_decay": 0.1}), ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.2}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1}), ("ASGD", {"lr": 0.05, "t0": 5.0, "weight_decay": 0.1}), ("Rprop", {"lr": 0.02, "etas": (0.4, 1.3)}),
    ("Adafactor", {"lr": 0.05, "beta2_decay": -0.7, "weight_decay": 0.1}), ("Muon", {"lr": 0.05, "momentum": 0.9, "nesterov": False}),
    ("LBFGS", {"lr": 0.1, "max_iter": 3}), ("LBFGS", {"max_iter": 4, "history_size": 3, "line_search_fn": "strong_wolfe"}),
]  # fmt: skip


#: prunings of a convolution (0) and a linear layer (3), step by step: the function of `nn.utils.prune`, what it prunes, settings
_weight, _both, _scores3 = [(0, "weight")], [(0, "weight"), (3, "weight")], np.arange(72.0).reshape(6, 4, 3) % 7 + np.arange(72).reshape(6, 4, 3) / 100
PRUNINGS: dict[str, list[tuple[str, list[tuple[int, str]], dict[str, Any]]]] = {
    "identity": [("identity", _weight, {}), ("identity", [(3, "bias")], {}), ("learn", [], {}), ("remove", _weight, {}), ("remove", [(3, "bias")], {})],
    "least elements": [("l1_unstructured", _weight, {"amount": 0.3}), ("learn", [], {}), ("l1_unstructured", _weight, {"amount": 7}),
                       ("l1_unstructured", [(0, "bias")], {"amount": 2}), ("learn", [], {}), ("remove", _weight, {}), ("learn", [], {}),
                       ("l1_unstructured", _weight, {"amount": 0.5}), ("remove", [(3, "weight")], {})],
    "by scores": [("l1_unstructured", _weight, {"amount": 20, "importance_scores": _scores3}), ("learn", [], {}),
                  ("ln_structured", _weight, {"amount": 1, "n": 2, "dim": 1, "importance_scores": _scores3}), ("remove", _weight, {})],
    **{f"slices of norm {n} along {dim}": [("ln_structured", _weight, {"amount": 2, "n": n, "dim": dim}), ("learn", [], {}),
                                          ("ln_structured", [(3, "weight")], {"amount": 0.4, "n": n, "dim": -dim if dim else 0}),
                                          ("l1_unstructured", _weight, {"amount": 0.2}), ("ln_structured", _weight, {"amount": 0.5, "n": n, "dim": dim}),
                                          ("learn", [], {}), ("remove", _weight, {})]
       for n, dim in ((1, 0), (2, 0), (2, 1), (float("inf"), 1), (-float("inf"), 0))},
    "a mask": [("custom_from_mask", _weight, {"mask": (_scores3 > 3).astype(float)}), ("learn", [], {}), ("custom_from_mask", _weight, {"mask": _scores3 < 5}),
               ("custom_from_mask", [(0, "bias")], {"mask": np.array([0, 1, 1, 0, 1, 1])}), ("remove", _weight, {})],
    "everywhere": [("global_unstructured", _both, {"pruning_method": "L1Unstructured", "amount": 0.4}), ("learn", [], {}),
                   ("global_unstructured", [*_both, (3, "bias")], {"pruning_method": "L1Unstructured", "amount": 25}), ("learn", [], {}),
                   ("remove", _weight, {}), ("remove", [(3, "weight")], {}), ("remove", [(3, "bias")], {})],
    "everywhere by scores": [("global_unstructured", _both, {"pruning_method": "L1Unstructured", "importance_scores": {(0, "weight"): _scores3}, "amount": 0.4}),
                             ("l1_unstructured", _weight, {"amount": 3})],
    "wrong": [("l1_unstructured", _weight, {"amount": 1.5}), ("l1_unstructured", _weight, {"amount": -1}), ("l1_unstructured", _weight, {"amount": "a"}), ("l1_unstructured", [(0, "none")], {"amount": 1}), ("remove", _weight, {}),
              ("ln_structured", [(0, "bias")], {"amount": 1, "n": 2, "dim": 0}), ("ln_structured", _weight, {"amount": 1, "n": 2, "dim": 5}),
              ("custom_from_mask", _weight, {"mask": np.ones((2, 2))}),
              ("l1_unstructured", _weight, {"amount": 3, "importance_scores": np.ones(3)}),
              ("global_unstructured", _both, {"pruning_method": "RandomStructured", "amount": 2}),
              ("global_unstructured", _both, {"pruning_method": "L1Unstructured", "importance_scores": 3, "amount": 2})],
    "too many": [("l1_unstructured", _weight, {"amount": 1000}), ("random_structured", _weight, {"amount": 9, "dim": 0}), ("learn", [], {})],
    "elements at random": [("random_unstructured", _weight, {"amount": 0.25}), ("random_unstructured", [(3, "weight")], {"amount": 11}),
                  ("global_unstructured", [(0, "bias"), (3, "bias")], {"pruning_method": "RandomUnstructured", "amount": 3})],
    "slices at random": [("random_structured", _weight, {"amount": 2, "dim": 0}), ("random_structured", _weight, {"amount": 0.5, "dim": 0}),
                         ("remove", _weight, {}), ("random_structured", [(3, "weight")], {"amount": 0.5, "dim": 1})],
}  # fmt: skip


def prunings() -> Iterator[Call]:
    """Each pruning."""
    for name, steps in PRUNINGS.items():
        yield Call("pruning", f"prune: {name}", tuple(steps), {}, name.split()[0] if "random" in name else None)


def modules() -> Iterator[Call]:
    """Each module in float64 and in float32."""
    found: list[tuple[str, dict[str, Any], list[np.ndarray]]] = [(name, settings, [_numbers(*ROWS)]) for name, settings in ELEMENTWISE]
    found += [(name, settings, [_numbers(*shape)]) for shape, name, settings in PLANES]
    found += [(name, settings, [_numbers(*s, seed=k) for k, s in enumerate(shapes)]) for shapes, name, settings in SEQUENCES]
    for dtype in ("float64", "float32"):
        for name, settings, arrays, count in [*((*case, 9) for case in found), *((*case, 1 + ("Triplet" in case[0])) for case in LOSSES)]:
            yield Call("module", name, (), settings, ([a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays], count, dtype))


def optimizers() -> Iterator[Call]:
    """Each optimizer."""
    for name, settings in OPTIMIZERS:
        yield Call("optimizer", name, (), settings)
