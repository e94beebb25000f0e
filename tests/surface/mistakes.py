"""Mistakes that training scripts make with data, models and files, and what each must raise, in which words.

Each is a program of `t`, which may be numgrad or PyTorch. `theirs` is what PyTorch raises where that is something else: numgrad tells
of a missing folder or a damaged file by errors that say so, and of memory by MemoryError.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

#: what is tried -> the program, the type of the error (or None), and words of it (or what comes out)
CASES: dict[str, tuple[Callable[[Any], Any], str | None, Any]] = {}


def raises(kind: str, words: str, theirs: str | None = None) -> Any:
    """Register a program that must raise this."""

    def register(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES[f.__name__] = f, kind, words
        return f

    return register


def gives(value: Any) -> Any:
    """Register a program that is no mistake."""

    def register(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        CASES[f.__name__] = f, None, value
        return f

    return register


def fn(t): return t.nn.functional


@raises('IndexError', 'Target 3 is out of bounds.')
def label_too_large(t): fn(t).cross_entropy(t.zeros(4, 3), t.tensor([0, 1, 2, 3]))
@raises('IndexError', 'Target -1 is out of bounds.')
def label_negative(t): fn(t).cross_entropy(t.zeros(4, 3), t.tensor([0, 1, 2, -1]))
@gives([1.0986, [0.0, 0.0, 0.0]])
def label_minus_100_is_ignored(t):
    x = t.zeros(2, 3, requires_grad=True); l = fn(t).cross_entropy(x, t.tensor([0, -100])); l.backward(); return [round(l.item(), 4), x.grad[1].tolist()]
@gives(True)
def all_ignored_is_nan(t): return math.isnan(fn(t).cross_entropy(t.zeros(2, 3), t.tensor([-100, -100])).item())
@raises('RuntimeError', 'expected target dtype to be Long or Byte, but got Float')
def labels_float(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([0.0, 1.0]))
@raises('RuntimeError', 'expected target dtype to be Long or Byte, but got Int')
def labels_int32(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([0, 1], dtype=t.int32))
@raises('RuntimeError', 'expected target dtype to be Long or Byte, but got Bool')
def labels_bool(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([True, False]))
@raises('RuntimeError', '0D or 1D target tensor expected, multi-target not supported; the targe')
def labels_2d(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([[0], [1]]))
@raises('ValueError', 'Expected input batch_size (2) to match target batch_size (3).')
def labels_wrong_batch(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([0, 1, 2]))
@raises('IndexError', 'Target 5 is out of bounds.')
def nll_label_range(t): fn(t).nll_loss(t.zeros(2, 3), t.tensor([0, 5]))
@raises('RuntimeError', 'weight tensor should be defined either for all 3 classes or no classes')
def weight_wrong_size(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([0, 1]), weight=t.ones(2))
@raises('ValueError', 'avg is not a valid value for reduction: expected one of none, mean, su')
def bad_reduction(t): fn(t).mse_loss(t.zeros(2), t.zeros(2), reduction="avg")
@raises('RuntimeError', 'label_smoothing must be between 0.0 and 1.0. Got: 1.5')
def label_smoothing_range(t): fn(t).cross_entropy(t.zeros(2, 3), t.tensor([0, 1]), label_smoothing=1.5)
@raises('RuntimeError', 'all elements of input should be between 0 and 1')
def bce_target_range(t): fn(t).binary_cross_entropy(t.tensor([1.5]), t.tensor([1.0]))
@raises('ValueError', 'binary_cross_entropy: the target size (numgrad.Size([3, 1])) must be t')
def bce_shape(t): fn(t).binary_cross_entropy(t.full((3,), .5), t.ones(3, 1))
@raises('ValueError', 'Target size (numgrad.Size([3, 1])) must be the same as input size (num')
def bce_logits_shape(t): fn(t).binary_cross_entropy_with_logits(t.zeros(3), t.ones(3, 1))
@raises('RuntimeError', 'Found dtype Long of the target but expected Float')
def bce_int_target(t): fn(t).binary_cross_entropy(t.full((3,), .5), t.tensor([0, 1, 1]))
@raises('UserWarning', 'Using a target size (numgrad.Size([3, 1])) that is different to the in')
def mse_shape_warns(t):
    with warnings.catch_warnings():
        warnings.simplefilter("error"); fn(t).mse_loss(t.zeros(3), t.zeros(3, 1))
@raises('TypeError', "argument 'target' of a loss must be Tensor, not NoneType", theirs='AttributeError')
def mse_none(t): fn(t).mse_loss(t.zeros(3), None)
@gives(True)
def empty_batch_cross_entropy(t): return math.isnan(fn(t).cross_entropy(t.zeros(0, 3), t.zeros(0, dtype=t.int64)).item())
@gives(True)
def empty_batch_mse(t): return math.isnan(fn(t).mse_loss(t.zeros(0, 3), t.zeros(0, 3)).item())
@raises('RuntimeError', 'Expected input_lengths to have value at most 5, and not negative, but ')
def ctc_lengths(t): fn(t).ctc_loss(t.zeros(5, 2, 4).log_softmax(2), t.ones(2, 3, dtype=t.int64), t.tensor([5, 6]), t.tensor([3, 3]))
@raises('ValueError', 'x is not a valid value for reduction: expected one of none, mean, sum,')
def kl_bad_reduction(t): fn(t).kl_div(t.zeros(2), t.zeros(2), reduction="x")
# --- anomalies
@raises('RuntimeError', "Function 'SqrtBackward0' returned nan values in its 0th output.")
def anomaly_nan(t):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with t.autograd.detect_anomaly():
            x = t.tensor([-1.0], requires_grad=True); x.sqrt().sum().backward()
@raises('RuntimeError', 'The total norm of order 2.0 for gradients from `parameters` is non-fin')
def clip_grad_nonfinite(t):
    p = t.nn.Parameter(t.ones(2)); p.grad = t.tensor([float("nan"), 1.0]); t.nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
# --- state dicts
def net(t): return t.nn.Sequential(t.nn.Linear(4, 3), t.nn.BatchNorm1d(3))
@raises('RuntimeError', 'size mismatch for 0.weight: copying a param with shape numgrad.Size([3, 5]) from checkpoin')
def state_shape(t): s = net(t).state_dict(); s["0.weight"] = t.zeros(3, 5); net(t).load_state_dict(s)
@raises('RuntimeError', 'Missing key(s) in state_dict: "0.bias".')
def state_missing(t): s = net(t).state_dict(); del s["0.bias"]; net(t).load_state_dict(s)
@raises('RuntimeError', 'Unexpected key(s) in state_dict: "0.other".')
def state_unexpected(t): s = net(t).state_dict(); s["0.other"] = t.zeros(1); net(t).load_state_dict(s)
@gives([['0.bias'], ['0.other']])
def state_not_strict(t): s = net(t).state_dict(); s["0.other"] = t.zeros(1); del s["0.bias"]; r = net(t).load_state_dict(s, strict=False); return [list(r.missing_keys), list(r.unexpected_keys)]
@raises('TypeError', "expected state_dict to be dict-like, got <class 'list'>.")
def state_not_a_dict(t): net(t).load_state_dict([1])
@raises('RuntimeError', 'While copying the parameter named "0.bias", expected a Tensor in the state dict, got list')
def state_value_not_tensor(t): s = net(t).state_dict(); s["0.bias"] = [1, 2, 3]; net(t).load_state_dict(s)
@raises('RuntimeError', 'size mismatch for 0.weight: copying a param with shape numgrad.Size([3, 5]) from checkpoin')
def state_shape_not_strict(t): s = net(t).state_dict(); s["0.weight"] = t.zeros(3, 5); net(t).load_state_dict(s, strict=False)
@raises('ValueError', 'loaded state dict has a different number of parameter groups: 2, not 1')
def optimizer_state_other_groups(t):
    a = t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=.1); b = t.optim.SGD([{"params": [t.nn.Parameter(t.ones(2))]}, {"params": [t.nn.Parameter(t.ones(2))]}], lr=.1); a.load_state_dict(b.state_dict())
@raises('ValueError', "loaded state dict contains a parameter group that doesn't match the si")
def optimizer_state_other_size(t):
    a = t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=.1); b = t.optim.SGD([t.nn.Parameter(t.ones(2)), t.nn.Parameter(t.ones(2))], lr=.1); a.load_state_dict(b.state_dict())
# --- empty batches
@gives([0, 2])
def empty_linear(t): return list(t.nn.Linear(3, 2)(t.zeros(0, 3)).shape)
@gives([0, 2, 6, 6])
def empty_conv(t): return list(t.nn.Conv2d(3, 2, 3)(t.zeros(0, 3, 8, 8)).shape)
@gives([0, 3])
def empty_batch_norm(t): return list(t.nn.BatchNorm1d(3)(t.zeros(0, 3)).shape)
@raises('ValueError', 'Expected more than 1 value per channel when training, got input size [')
def batch_norm_one_value(t): t.nn.BatchNorm1d(3)(t.zeros(1, 3))
@gives([0, 3])
def empty_layer_norm(t): return list(t.nn.LayerNorm(3)(t.zeros(0, 3)).shape)
@gives([0, 3, 2])
def empty_group_norm(t): return list(t.nn.GroupNorm(1, 3)(t.zeros(0, 3, 2)).shape)
@gives([0, 4, 2])
def empty_lstm(t): return list(t.nn.LSTM(3, 2, batch_first=True)(t.zeros(0, 4, 3))[0].shape)
@raises('RuntimeError', 'Expected sequence length to be larger than 0 in RNN')
def lstm_no_steps(t): return list(t.nn.LSTM(3, 2)(t.zeros(0, 4, 3))[0].shape)
@gives([0, 3, 2, 2])
def empty_max_pool(t): return list(fn(t).max_pool2d(t.zeros(0, 3, 4, 4), 2).shape)
@gives([0, 3, 4])
def empty_attention(t): return list(t.nn.MultiheadAttention(4, 2, batch_first=True)(*[t.zeros(0, 3, 4)] * 3)[0].shape)
@gives([0, 2])
def empty_embedding(t): return list(t.nn.Embedding(3, 2)(t.zeros(0, dtype=t.int64)).shape)
@gives([0, 3])
def empty_softmax(t): return list(t.zeros(0, 3).softmax(1).shape)
@raises('RuntimeError', 'max(): Expected reduction dim to be specified for input.numel() == 0. ')
def empty_max(t): t.zeros(0).max()
@raises('IndexError', 'max(): Expected reduction dim 0 to have non-zero size.')
def empty_max_dim(t): t.zeros(0, 3).max(0)
@raises('IndexError', 'argmax(): Expected reduction dim to be specified for input.numel() == ')
def empty_argmax(t): t.zeros(0).argmax()
@gives([0])
def empty_mean_backward(t): x = t.zeros(0, requires_grad=True); x.mean().backward(); return list(x.grad.shape)
@raises('RuntimeError', 'Calculated padded input size per channel: (0 x 8). Kernel size: (3 x 3')
def empty_conv_channels(t): return list(t.nn.Conv2d(3, 2, 3)(t.zeros(1, 3, 0, 8)).shape)
@raises('RuntimeError', 'max_pool2d(): Expected input to have non-zero size for non-batch dimen')
def empty_pool_spatial(t): return list(fn(t).max_pool2d(t.zeros(1, 3, 0, 4), 2).shape)
@gives([0, 3, 4])
def empty_transformer(t): return list(t.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)(t.zeros(0, 3, 4)).shape)
@gives([0, 3, 8, 8])
def empty_interpolate(t): return list(fn(t).interpolate(t.zeros(0, 3, 4, 4), scale_factor=2).shape)
# --- data loaders
def dataset(t, f, n=6):
    class D(t.utils.data.Dataset):
        def __len__(self): return n
        def __getitem__(self, i): return f(i)
    return D()
def bad(i):
    if i == 3: raise KeyError("no such file")
    return i
@raises('KeyError', "'no such file'")
def loader_dataset_fails(t): list(t.utils.data.DataLoader(dataset(t, bad), batch_size=2))
@raises('RuntimeError', 'stack expects each tensor to be equal size, but got [1] at entry 0 and')
def loader_collate_sizes(t): list(t.utils.data.DataLoader(dataset(t, lambda i: t.zeros(i + 1)), batch_size=2))
@raises('TypeError', 'default_collate: batch must contain tensors, numpy arrays, numbers, di')
def loader_collate_kind(t): list(t.utils.data.DataLoader(dataset(t, lambda i: object()), batch_size=2))
@raises('TypeError', 'default_collate: batch must contain tensors, numpy arrays, numbers, di')
def loader_collate_none(t): list(t.utils.data.DataLoader(dataset(t, lambda i: None), batch_size=2))
@raises('ValueError', 'batch_size should be a positive integer value, but got batch_size=0')
def loader_batch_zero(t): t.utils.data.DataLoader(dataset(t, bad), batch_size=0)
@raises('ValueError', 'num_workers option should be non-negative, got -1; 0 prepares batches ')
def loader_workers_negative(t): t.utils.data.DataLoader(dataset(t, bad), num_workers=-1)
@raises('ValueError', 'sampler option is mutually exclusive with shuffle')
def loader_shuffle_and_sampler(t): d = dataset(t, bad); t.utils.data.DataLoader(d, shuffle=True, sampler=t.utils.data.SequentialSampler(d))
@raises('ValueError', 'RandomSampler: num_samples should be a positive integer, got 0')
def loader_empty_shuffle(t): return len(list(t.utils.data.DataLoader(dataset(t, bad, 0), shuffle=True)))
@raises('AssertionError', 'TensorDataset: the tensors differ in their first dimension: [3, 4]')
def tensor_dataset_sizes(t): t.utils.data.TensorDataset(t.zeros(3), t.zeros(4))
@raises('ValueError', 'random_split: the lengths sum to 4, but the dataset has 6 samples')
def random_split_sizes(t): t.utils.data.random_split(dataset(t, bad), [2, 2])
@raises('IndexError', 'list index out of range')
def subset_range(t): t.utils.data.Subset(dataset(t, lambda i: [0, 1][i]), [5])[0]
# --- optimizers
@raises('ValueError', 'optimizer got an empty parameter list')
def optimizer_empty(t): t.optim.SGD([], lr=.1)
@raises('TypeError', 'params argument given to the optimizer should be an iterable of Tensor')
def optimizer_tensor(t): t.optim.SGD(t.ones(2, requires_grad=True), lr=.1)
@raises('ValueError', "can't optimize a non-leaf Tensor")
def optimizer_non_leaf(t): t.optim.SGD([t.ones(2, requires_grad=True) * 2], lr=.1)
@raises('TypeError', 'optimizer can only optimize Tensors, but one of the params is float')
def optimizer_number(t): t.optim.SGD([1.0], lr=.1)
@raises('ValueError', 'Invalid learning rate: -1')
def optimizer_lr_negative(t): t.optim.Adam([t.nn.Parameter(t.ones(2))], lr=-1)
@raises('ValueError', 'Invalid beta parameter at index 0: 1.0')
def optimizer_betas(t): t.optim.Adam([t.nn.Parameter(t.ones(2))], betas=(1.0, .9))
@raises('ValueError', 'Invalid momentum value: -1')
def optimizer_momentum(t): t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=.1, momentum=-1)
@raises('ValueError', 'Nesterov momentum requires a momentum and zero dampening')
def optimizer_nesterov(t): t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=.1, nesterov=True)
@raises('ValueError', 'some parameters appear in more than one parameter group')
def optimizer_twice(t): p = t.nn.Parameter(t.ones(2)); t.optim.SGD([{"params": [p]}, {"params": [p]}], lr=.1)
@raises('ValueError', 'Invalid epsilon value: -1')
def optimizer_eps(t): t.optim.Adam([t.nn.Parameter(t.ones(2))], eps=-1)
@raises('TypeError', 'closure')
def lbfgs_no_closure(t): t.optim.LBFGS([t.nn.Parameter(t.ones(2))]).step()
@raises('TypeError', 'str is not an Optimizer')
def scheduler_not_optimizer(t): t.optim.lr_scheduler.StepLR("x", 1)
@raises('ValueError', 'Tried to step 3 times. The specified number of total steps is 2')
def one_cycle_too_long(t):
    o = t.optim.SGD([t.nn.Parameter(t.ones(2))], lr=.1); s = t.optim.lr_scheduler.OneCycleLR(o, .1, total_steps=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(4): s.step()
# --- backward
@raises('RuntimeError', 'Trying to backward through the graph a second time (or directly access')
def backward_twice(t): x = t.ones(2, requires_grad=True); y = (x * x).sum(); y.backward(); y.backward()
@raises('RuntimeError', 'grad can be implicitly created only for scalar outputs')
def backward_non_scalar(t): (t.ones(2, requires_grad=True) * 2).backward()
@raises('RuntimeError', 'element 0 of tensors does not require grad and does not have a grad_fn')
def backward_no_grad(t): t.ones(1).sum().backward()
@raises('RuntimeError', 'Mismatch in shape: grad_output[0] has a shape of numgrad.Size([3]) and')
def backward_grad_shape(t): (t.ones(2, requires_grad=True) * 2).backward(t.ones(3))
@raises('RuntimeError', 'a leaf Variable that requires grad is being used in an in-place operat')
def inplace_leaf(t): x = t.ones(2, requires_grad=True); x += 1
@raises('RuntimeError', 'a view of a leaf Variable that requires grad is being used in an in-pl')
def inplace_view_of_leaf(t): x = t.ones(2, requires_grad=True); x[0] = 1
@raises('RuntimeError', 'one of the variables needed for gradient computation has been modified')
def inplace_needed(t): x = t.ones(2, requires_grad=True); y = x.exp(); z = y.sum(); y.add_(1); z.backward()
@raises('RuntimeError', 'one of the variables needed for gradient computation has been modified')
def inplace_saved_input(t): x = t.ones(2, requires_grad=True); a = x * 2; y = a * a; a.mul_(2); y.sum().backward()
@raises('RuntimeError', 'only Tensors of floating point dtype can require gradients, but got nu')
def requires_grad_int(t): t.tensor([1], requires_grad=True)
@raises('RuntimeError', 'only Tensors of floating point dtype can require gradients, but got nu')
def requires_grad_set_int(t): t.tensor([1]).requires_grad_()
@raises('RuntimeError', 'you can only change requires_grad flags of leaf variables. If you want')
def requires_grad_nonleaf(t): y = t.ones(2, requires_grad=True) * 2; y.requires_grad = False
@raises('RuntimeError', "Can't call numpy() on Tensor that requires grad. Use tensor.detach().n")
def numpy_of_grad(t): t.ones(2, requires_grad=True).numpy()
@raises('RuntimeError', 'One of the differentiated Tensors appears to not have been used in the')
def grad_unused(t): x = t.ones(2, requires_grad=True); z = t.ones(2, requires_grad=True); t.autograd.grad((x * 2).sum(), z)
@raises('RuntimeError', 'only Tensors of floating point dtype can require gradients, but got nu')
def parameter_int(t): t.nn.Parameter(t.tensor([1]))
@raises('RuntimeError', 'function FBackward returned an incorrect number of gradients (expected')
def function_too_many_grads(t):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x * 2
        @staticmethod
        def backward(ctx, g): return g, g
    F.apply(t.ones(2, requires_grad=True)).sum().backward()
@raises('RuntimeError', 'Function FBackward returned an invalid gradient at index 0 - got [3] b')
def function_wrong_shape(t):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x * 2
        @staticmethod
        def backward(ctx, g): return g[:1].expand(3).clone()
    F.apply(t.ones(2, requires_grad=True)).sum().backward()
@raises('RuntimeError', 'Function FBackward returned a int as the gradient at index 0, but expe')
def function_not_tensor(t):
    class F(t.autograd.Function):
        @staticmethod
        def forward(ctx, x): return x * 2
        @staticmethod
        def backward(ctx, g): return 3
    F.apply(t.ones(2, requires_grad=True)).sum().backward()


@raises('RuntimeError', "a gradient of shape (3,) and dtype numgrad.float32 does not fit its parameter of shape (2,)")
def gradient_of_another_shape(t): p = t.nn.Parameter(t.ones(2)); p.grad = t.ones(3); t.optim.SGD([p], lr=.1).step()
@raises('RuntimeError', "a gradient of shape (2,) and dtype numgrad.float64 does not fit")
def gradient_of_another_dtype(t): p = t.nn.Parameter(t.ones(2)); p.grad = t.ones(2).double(); t.optim.Adam([p]).step()
