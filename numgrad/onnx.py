"""ONNX: not written."""

from numgrad.lacking import refused

_INSTEAD = "save `module.state_dict()` with `numgrad.save`, load it into the same model in PyTorch, and export there"
export = refused("onnx.export", _INSTEAD)
dynamo_export = refused("onnx.dynamo_export", _INSTEAD)


def is_in_onnx_export() -> bool:
    """Always False."""
    return False
