"""What is done to a finished graph, whatever its architecture: calibrated scores, the description, the int8 version, and
running it. Graphs have `audio` [batch, samples] in and `scores` [batch, labels] out."""

import hashlib
import json
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import figures

# Strings in the file as they are; everything else is JSON.
PLAIN = ("format", "name", "version", "task", "author", "dataset_tag", "precision")
BATCH = 32


def with_calibration(model: onnx.ModelProto, calibration: figures.Calibration) -> onnx.ModelProto:
    """The same model with calibrated scores, as figures.Calibration has them."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    for node in graph.node:
        for i, name in enumerate(node.output):
            if name == "scores":
                node.output[i] = node.name = "raw_scores"
    shift = np.zeros(graph.output[0].type.tensor_type.shape.dim[1].dim_value, np.float32)
    shift[0] = calibration.background_shift
    constants = {"floor": np.float32(1e-7), "shift": shift, "inverse": np.float32(1 / calibration.temperature)}
    graph.initializer.extend(numpy_helper.from_array(np.array(v), f"calibrated/{k}") for k, v in constants.items())
    graph.node.extend([
        helper.make_node("Max", ["raw_scores", "calibrated/floor"], ["calibrated/above_zero"], name="calibrated/above_zero"),
        helper.make_node("Log", ["calibrated/above_zero"], ["calibrated/log"], name="calibrated/log"),
        helper.make_node("Add", ["calibrated/log", "calibrated/shift"], ["calibrated/shifted"], name="calibrated/shifted"),
        helper.make_node("Mul", ["calibrated/shifted", "calibrated/inverse"], ["calibrated/scaled"], name="calibrated/scaled"),
        helper.make_node("Softmax", ["calibrated/scaled"], ["scores"], name="scores", axis=1),
    ])
    onnx.checker.check_model(model)
    return model


def described(model: onnx.ModelProto, description: dict) -> onnx.ModelProto:
    """Puts the description into `metadata_props`, in its order."""
    del model.metadata_props[:]
    for key, value in description.items():
        model.metadata_props.add(key=key, value=value if key in PLAIN else json.dumps(value, separators=(",", ":")))
    return model


def quantize(fp32: Path, int8: Path, windows: np.ndarray, exact: list[str], method: str) -> None:
    """Static QDQ quantization (S8S8, weights per channel) of all but the nodes `exact`, calibrated on `windows` [n, samples]."""
    logging.getLogger().setLevel(logging.ERROR)  # its warnings are of graphs that were not exported as ours
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.batches = iter(windows[i : i + BATCH] for i in range(0, len(windows), BATCH))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"audio": batch}

    methods = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}
    quantize_static(
        fp32, int8, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8, nodes_to_exclude=exact, calibrate_method=methods[method],
        op_types_to_quantize=["Conv", "Relu", "MatMul", "Gemm", "Add", "GlobalAveragePool", "GlobalMaxPool", "Concat"],
    )


class Scorer:
    """Runs a model on one thread, so that several processes share the cores and sums are added in one order."""

    def __init__(self, model: Path | onnx.ModelProto):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        bytes_ = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
        self.sha256 = hashlib.sha256(bytes_).hexdigest()
        self.session = onnxruntime.InferenceSession(bytes_, options, providers=["CPUExecutionProvider"])

    def __call__(self, windows: np.ndarray) -> np.ndarray:
        """Scores [n, labels] of windows [n, samples]."""
        parts = (windows[i : i + BATCH] for i in range(0, len(windows), BATCH))
        return np.concatenate([self.session.run(None, {"audio": np.ascontiguousarray(part, np.float32)})[0] for part in parts])
