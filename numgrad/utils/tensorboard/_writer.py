"""SummaryWriter: what a training script wants to see, as files that TensorBoard reads."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from . import _graph, _summaries

_LACKING = {
    "add_audio": "audio: write a file of its own",
    "add_video": "video: show some of its frames with add_images",
    "add_mesh": "meshes",
    "add_embedding": "embeddings: show a projection of them with add_figure",
    "add_onnx_graph": "ONNX: show the module with add_graph",
    "add_custom_scalars": "custom layouts: numbers whose tags begin alike are shown together",
    "add_custom_scalars_multilinechart": "custom layouts: use add_scalars",
    "add_custom_scalars_marginchart": "custom layouts: use add_scalars",
}


class FileWriter:
    """One event file in a directory: messages with their steps and times."""

    def __init__(self, log_dir: str | os.PathLike, max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = ""):
        self._writer = EventFileWriter(os.fspath(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The directory."""
        return self._writer.get_logdir()

    def add_event(self, event: Event, step: Any = None, walltime: float | None = None) -> None:
        """Write an event, at a step of training and a time (now, unless given)."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self._writer.add_event(event)

    def add_summary(self, summary: Any, global_step: Any = None, walltime: float | None = None) -> None:
        """Write a summary as an event."""
        self.add_event(Event(summary=summary), global_step, walltime)

    def flush(self) -> None:
        """Return once everything is in the file."""
        self._writer.flush()

    def close(self) -> None:
        """Flush, and close the file."""
        self._writer.close()


class SummaryWriter:
    """Writes to an event file in `log_dir` (default: runs/TIME_HOST with `comment` behind it) what TensorBoard shows.

    Everything written has a tag (a/b puts b into group a), a `global_step` and a time. After `close`, which leaving a
    `with` block calls, the next call opens a new file. `purge_step` tells TensorBoard to forget what was written at that
    step and later before a crash.
    """

    def __init__(self, log_dir: str | os.PathLike | None = None, comment: str = "", purge_step: int | None = None,
                 max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = ""):
        if not log_dir:
            log_dir = os.path.join("runs", f"{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}")
        self.log_dir = os.fspath(log_dir)
        self.purge_step = purge_step
        self._options = (max_queue, flush_secs, filename_suffix)
        self._writers: dict[str, FileWriter] = {}
        self._file()

    def __getattr__(self, name: str) -> Any:
        if name in _LACKING:
            raise NotImplementedError(f"numgrad's SummaryWriter.{name} is not there: no {_LACKING[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _file(self, log_dir: str | None = None) -> FileWriter:
        """The file of a directory, opened when first needed."""
        where = log_dir or self.log_dir
        if where not in self._writers:
            self._writers[where] = file = FileWriter(where, *self._options)
            if where == self.log_dir and self.purge_step is not None:
                file.add_event(Event(file_version="brain.Event:2"), self.purge_step)
                file.add_event(Event(session_log=SessionLog(status=SessionLog.START)), self.purge_step)
                self.purge_step = None
        return self._writers[where]

    def get_logdir(self) -> str:
        """The directory the event files are in."""
        return self.log_dir

    # --- numbers ---

    def add_scalar(self, tag: str, scalar_value: Any, global_step: Any = None, walltime: float | None = None,
                   new_style: bool = False, double_precision: bool = False) -> None:
        """One number: Python's, or a tensor or array of one element."""
        summary = _summaries.scalar(tag, scalar_value, new_style, double_precision)
        self._file().add_summary(summary, global_step, walltime)

    def add_scalars(self, main_tag: str, tag_scalar_dict: Mapping[str, Any], global_step: Any = None,
                    walltime: float | None = None) -> None:
        """Several numbers in one chart; each is a run of its own, in a directory below this one."""
        for tag, value in tag_scalar_dict.items():
            place = os.path.join(self.log_dir, main_tag.replace("/", "_") + "_" + tag)
            self._file(place).add_summary(_summaries.scalar(main_tag, value), global_step, walltime)

    def add_histogram(self, tag: str, values: Any, global_step: Any = None, bins: Any = "tensorflow",
                      walltime: float | None = None, max_bins: int | None = None) -> None:
        """The distribution of a tensor's values; `bins` is "tensorflow" (exponential ones) or as for `numpy.histogram`."""
        self._file().add_summary(_summaries.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(self, tag: str, min: Any, max: Any, num: Any, sum: Any, sum_squares: Any, bucket_limits: Any,
                          bucket_counts: Any, global_step: Any = None, walltime: float | None = None) -> None:
        """A distribution already counted: `bucket_counts[i]` values lie between `bucket_limits[i - 1]` and `bucket_limits[i]`."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        summary = _summaries.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._file().add_summary(summary, global_step, walltime)

    def add_pr_curve(self, tag: str, labels: Any, predictions: Any, global_step: Any = None, num_thresholds: int = 127,
                     weights: Any = None, walltime: float | None = None) -> None:
        """Precision and recall of a binary classifier: labels 0 or 1, predictions from 0 to 1."""
        rows = _summaries.curve_rows(labels, predictions, num_thresholds, weights)
        self._file().add_summary(_summaries.curve(tag, rows, num_thresholds), global_step, walltime)

    def add_pr_curve_raw(self, tag: str, true_positive_counts: Any, false_positive_counts: Any, true_negative_counts: Any,
                         false_negative_counts: Any, precision: Any, recall: Any, global_step: Any = None,
                         num_thresholds: int = 127, weights: Any = None, walltime: float | None = None) -> None:
        """Precision and recall already counted, one value a threshold."""
        rows = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision, recall)
        self._file().add_summary(_summaries.curve(tag, rows, num_thresholds), global_step, walltime)

    def add_hparams(self, hparam_dict: Mapping[str, Any], metric_dict: Mapping[str, Any],
                    hparam_domain_discrete: Mapping[str, Sequence[Any]] | None = None, run_name: str | None = None,
                    global_step: Any = None) -> None:
        """Hyperparameters (bool, int, float, str) and the metrics reached with them, as a run of its own below this one."""
        if not isinstance(hparam_dict, dict) or not isinstance(metric_dict, dict):
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        messages = _summaries.hyperparameters(hparam_dict, metric_dict, hparam_domain_discrete)
        with SummaryWriter(os.path.join(self.log_dir, run_name or str(time.time()))) as writer:
            for message in messages:
                writer._file().add_summary(message, global_step)
            for tag, value in metric_dict.items():
                writer.add_scalar(tag, value, global_step)

    # --- pictures and words ---

    def add_image(self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
                  dataformats: str = "CHW") -> None:
        """A picture of 1, 3 or 4 channels: uint8, or floating point from 0 to 1. `dataformats` says which dimension is which."""
        self._file().add_summary(_summaries.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None,
                   dataformats: str = "NCHW") -> None:
        """Several pictures, eight in a row."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(self, tag: str, figure: Any, global_step: Any = None, close: bool = True,
                   walltime: float | None = None) -> None:
        """A Matplotlib figure, or a list of figures of one size, as a picture; `close` closes them."""
        from matplotlib import pyplot
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        pictures = []
        for one in figure if isinstance(figure, list) else [figure]:
            canvas = FigureCanvasAgg(one)
            canvas.draw()
            pictures.append(np.array(canvas.buffer_rgba())[..., :3])
            if close:
                pyplot.close(one)
        self.add_image(tag, np.stack(pictures), global_step, walltime, "NHWC")

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None) -> None:
        """Text, shown as Markdown."""
        self._file().add_summary(_summaries.text(tag, text_string), global_step, walltime)

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True) -> None:
        """The graph of a module for these inputs (a tensor, or a tuple of arguments), grouped by submodule.

        It is read off the tape of one pass in evaluation mode: what does not depend on inputs or parameters is left out.
        """
        graph = _graph.graph_of(model, input_to_model)
        if verbose:
            sys.stdout.writelines(f"{node.name} = {node.op}({', '.join(node.input)})\n" for node in graph.node)
        self._file().add_event(Event(graph_def=graph.SerializeToString()))

    # --- the files ---

    def flush(self) -> None:
        """Return once everything is in the files."""
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Flush, and close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        self.close()
