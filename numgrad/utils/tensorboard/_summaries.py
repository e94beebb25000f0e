"""What is shown, as TensorBoard's messages: numbers, distributions, images, text, curves, hyperparameters."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.compat.proto.histogram_pb2 import HistogramProto
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import api_pb2, metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata as curve_metadata
from tensorboard.plugins.text.metadata import create_summary_metadata as text_metadata

from numgrad.dtypes import bfloat16
from numgrad.tensor import Tensor

_FLOAT, _DOUBLE, _STRING = 1, 2, 7  # types_pb2.DT_FLOAT, DT_DOUBLE, DT_STRING


def array_of(value: Any) -> np.ndarray:
    """A tensor, an array, a number or a list of these as an array."""
    if isinstance(value, Tensor):
        return (value if value.dtype is not bfloat16 else value.float()).detach().numpy()  # type: ignore[attr-defined]
    if isinstance(value, (list, tuple)):
        return np.array([array_of(v) for v in value])
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"expected a tensor, an array or a number, but got {type(value).__name__}")
    return array


def scalar(tag: str, value: Any, new_style: bool = False, double_precision: bool = False) -> Summary:
    """One number; in the new style as a tensor, which may keep double precision."""
    array = array_of(value)
    if array.size != 1:
        raise ValueError(f"{tag!r} should be one number, but has the shape {array.shape}")
    number = array.item()
    if not new_style:
        return Summary(value=[Summary.Value(tag=tag, simple_value=number)])
    kind = {"double_val": [number], "dtype": _DOUBLE} if double_precision else {"float_val": [number], "dtype": _FLOAT}
    shown = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="scalars"))
    return Summary(value=[Summary.Value(tag=tag, tensor=TensorProto(**kind), metadata=shown)])


# --- distributions --------------------------------------------------------------------------------------------------


def _exponential_edges() -> np.ndarray:
    """From 1e-12 in steps of 10 % to 1e20, on both sides of 0: resolution where values lie, whatever their scale."""
    count = math.ceil(math.log(1e20 / 1e-12) / math.log(1.1))
    positive = 1e-12 * 1.1 ** np.arange(count)
    return np.concatenate([-positive[::-1], [0.0], positive])


def histogram(tag: str, values: Any, bins: Any = "tensorflow", max_bins: int | None = None) -> Summary:
    """How often values fall between the edges: "tensorflow" (exponential ones), or what `numpy.histogram` accepts."""
    array = array_of(values).reshape(-1).astype(np.float64)
    if array.size == 0:
        raise ValueError(f"the histogram {tag!r} has no values")
    counts, edges = np.histogram(array, bins=_exponential_edges() if isinstance(bins, str) and bins == "tensorflow" else bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        counts = np.add.reduceat(counts, np.arange(0, len(counts), step))
        edges = np.append(edges[:-1:step], edges[-1])
    filled = np.flatnonzero(counts)
    if filled.size == 0:
        raise ValueError(f"the histogram {tag!r} has no values inside its edges")
    first, last = filled[0], filled[-1] + 1
    # A count belongs to the range below its limit: one empty range before the first says where that begins.
    limits, kept = edges[first : last + 1], np.concatenate([[0], counts[first:last]])
    return histogram_raw(tag, array.min(), array.max(), array.size, array.sum(), array.dot(array), limits, kept)


def histogram_raw(tag: str, least: Any, most: Any, number: Any, total: Any, squares: Any, limits: Any, counts: Any) -> Summary:
    """A distribution whose counts are known: `counts[i]` values are at most `limits[i]` and above the limit before."""
    message = HistogramProto(
        min=float(least), max=float(most), num=float(number), sum=float(total), sum_squares=float(squares),
        bucket_limit=array_of(limits).tolist(), bucket=array_of(counts).tolist(),
    )  # fmt: skip
    return Summary(value=[Summary.Value(tag=tag, histo=message)])


def curve(tag: str, rows: Sequence[Any], thresholds: int) -> Summary:
    """Precision and recall: true and false positives, true and false negatives, precision, recall at each threshold."""
    table = np.stack([array_of(row) for row in rows]).astype(np.float64)
    sizes = [TensorShapeProto.Dim(size=n) for n in table.shape]
    tensor = TensorProto(dtype=_FLOAT, float_val=table.reshape(-1).tolist(), tensor_shape=TensorShapeProto(dim=sizes))
    return Summary(value=[Summary.Value(tag=tag, metadata=curve_metadata(tag, "", thresholds), tensor=tensor)])


def curve_rows(labels: Any, predictions: Any, thresholds: int, weights: Any) -> list[np.ndarray]:
    """The rows of `curve`, where a prediction from 0 to 1 says "true" at every threshold up to its own value."""
    truth, scores = array_of(labels).reshape(-1).astype(np.float64), array_of(predictions).reshape(-1)
    weight = np.ones_like(truth) if weights is None else np.broadcast_to(array_of(weights).reshape(-1), truth.shape)
    if truth.shape != scores.shape:
        raise ValueError(f"as many labels as predictions are needed, but there are {truth.size} and {scores.size}")
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError("predictions should be probabilities, from 0 to 1")
    place = np.floor(scores.astype(np.float64) * (thresholds - 1)).astype(np.int64)
    true = np.bincount(place, truth * weight, thresholds)[::-1].cumsum()[::-1]
    false = np.bincount(place, (1 - truth) * weight, thresholds)[::-1].cumsum()[::-1]
    missed = true[0] - true
    return [true, false, false[0] - false, missed, true / np.maximum(true + false, 1e-7), true / np.maximum(true + missed, 1e-7)]


# --- images and text ------------------------------------------------------------------------------------------------


def image(tag: str, pixels: Any, dataformats: str) -> Summary:
    """A picture, or a grid of several: uint8 from 0 to 255, or floating point from 0 to 1."""
    from PIL import Image

    array = array_of(pixels)
    scale = 1 if array.dtype == np.uint8 else 255
    array = (_channels_last(array, dataformats.upper()).astype(np.float32) * scale).clip(0, 255).astype(np.uint8)
    height, width, channels = array.shape
    written = io.BytesIO()
    Image.fromarray(array).save(written, format="PNG")
    shown = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=written.getvalue())
    return Summary(value=[Summary.Value(tag=tag, image=shown)])


def _channels_last(array: np.ndarray, dataformats: str) -> np.ndarray:
    """Height, width, channels; grey pictures become RGB, and several are laid out eight in a row."""
    if len(set(dataformats)) != len(dataformats) or not {"H", "W"} <= set(dataformats) <= set("NCHW"):
        raise ValueError(f"dataformats should name each of N, C, H, W at most once, H and W always; got {dataformats!r}")
    if len(dataformats) != array.ndim:
        raise ValueError(f"an image of the shape {array.shape} has other dimensions than dataformats={dataformats!r} says")
    missing = [letter for letter in "NHWC" if letter not in dataformats]
    array = array.reshape(*array.shape, *(1,) * len(missing))
    order = dataformats + "".join(missing)
    array = array.transpose([order.index(letter) for letter in "NHWC"])
    count, height, width, channels = array.shape
    if channels not in (1, 3, 4):
        raise ValueError(f"an image has 1, 3 or 4 channels, but got {channels}")
    if channels == 1:
        array = array.repeat(3, axis=3)
    columns = min(count, 8)
    rows = -(-count // columns)
    grid = np.zeros((rows * columns, *array.shape[1:]), array.dtype)
    grid[:count] = array
    grid = grid.reshape(rows, columns, *array.shape[1:]).transpose(0, 2, 1, 3, 4)
    return grid.reshape(rows * height, columns * width, -1)


def text(tag: str, words: str) -> Summary:
    """Text, shown as Markdown."""
    tensor = TensorProto(dtype=_STRING, string_val=[words.encode()], tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]))
    return Summary(value=[Summary.Value(tag=f"{tag}/text_summary", metadata=text_metadata("", ""), tensor=tensor)])


# --- hyperparameters ------------------------------------------------------------------------------------------------


def hyperparameters(given: Mapping[str, Any], metrics: Mapping[str, Any], discrete: Mapping[str, Sequence[Any]] | None) -> list[Summary]:
    """Three messages: which hyperparameters and metrics there are, this run's values, and that it has ended."""
    values = {name: _plain(name, value) for name, value in given.items() if value is not None}
    unknown = set(discrete or {}) - set(values)
    if unknown:
        raise ValueError(f"hparam_domain_discrete names {sorted(unknown)}, which are not in hparam_dict")
    infos = []
    for name, value in values.items():
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DataType.Value(f"DATA_TYPE_{_kind(value)}"))
        if name in (discrete or {}):
            info.domain_discrete.extend(discrete[name])
        infos.append(info)
    named = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics]
    start = SessionStartInfo(start_time_secs=time.time())
    for name, value in values.items():
        setattr(start.hparams[name], f"{_kind(value)}_value".lower().replace("float64", "number"), value)
    end = SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
    return [
        _plugin(metadata.EXPERIMENT_TAG, experiment=api_pb2.Experiment(hparam_infos=infos, metric_infos=named)),
        _plugin(metadata.SESSION_START_INFO_TAG, session_start_info=start),
        _plugin(metadata.SESSION_END_INFO_TAG, session_end_info=end),
    ]


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)) and array_of(value).size == 1:
        return value.item()
    raise ValueError(f"a hyperparameter is a bool, int, float, str or None, but {name!r} is a {type(value).__name__}")


def _kind(value: Any) -> str:
    return "BOOL" if isinstance(value, bool) else "STRING" if isinstance(value, str) else "FLOAT64"


def _plugin(tag: str, **data: Any) -> Summary:
    shown = metadata.create_summary_metadata(HParamsPluginData(**data))
    return Summary(value=[Summary.Value(tag=tag, metadata=shown, tensor=metadata.NULL_TENSOR)])
