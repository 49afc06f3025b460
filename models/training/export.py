"""Writes the trained networks as one ONNX file: raw 48 kHz audio in, label probabilities out, description inside; and
makes the int8 version of it by calibrated static quantization (QDQ)."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import frontend
import net as network

OPSET = 17
IR_VERSION = 8


class Graph:
    """Collects nodes and weights; every method returns the name of its output."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name: str, value) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op: str, inputs: list[str], name: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name


def add_front_end(g: Graph) -> str:
    """audio [batch, samples] → features [batch, 1, frames, bands]."""
    f32 = np.float32
    bins = frontend.mel_bins()
    x = g.node("Unsqueeze", ["audio", g.weight("front/axis1", np.array([1], np.int64))], "front/channel")
    pad = (frontend.FIR_TAPS - 1) // 2
    x = g.node("Conv", [x, g.weight("front/fir", frontend.fir_low_pass()[None, None])], "front/decimate",
               strides=[frontend.DECIMATION], pads=[pad, pad])
    # Kept in half precision, which halves the file and errs 66 dB below the signal; widened once, when the model is loaded.
    basis = g.weight("front/dft_half", frontend.dft_basis()[:, None].astype(np.float16))
    basis = g.node("Cast", [basis], "front/dft", to=TensorProto.FLOAT)
    x = g.node("Conv", [x, basis], "front/spectrum", strides=[frontend.HOP])
    x = g.node("Mul", [x, x], "front/squares")
    # The same mel matrix for real and imaginary parts adds their squares.
    mel = np.concatenate([frontend.mel_matrix()] * 2, axis=0).T[:, :, None]
    assert mel.shape == (frontend.MEL_BANDS, 2 * bins, 1)
    x = g.node("Conv", [x, g.weight("front/mel", mel.astype(f32))], "front/mel_power")
    mean = g.node("ReduceMean", [x], "front/mean", axes=[1, 2], keepdims=1)
    mean = g.node("Add", [mean, g.weight("front/absolute_floor", f32(network.ABSOLUTE_FLOOR))], "front/mean_floor")
    x = g.node("Div", [x, mean], "front/relative")
    x = g.node("Add", [x, g.weight("front/relative_floor", f32(network.RELATIVE_FLOOR))], "front/floor")
    x = g.node("Log", [x], "front/log")
    x = g.node("Mul", [x, g.weight("front/scale", f32(0.3))], "front/scaled")
    x = g.node("Transpose", [x], "front/frames_first", perm=[0, 2, 1])
    return g.node("Unsqueeze", [x, "front/axis1"], "front/features")


def folded(conv, norm) -> tuple[np.ndarray, np.ndarray]:
    """Convolution weights with the batch norm that follows folded in."""
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
    kernel = conv.weight.detach().numpy() * scale[:, None, None, None]
    return kernel, norm.bias.detach().numpy() - norm.running_mean.numpy() * scale


def add_network(g: Graph, model: network.ImpactNet, x: str, name: str, temperature: float) -> str:
    """features → probabilities of the fine classes [batch, classes] of one network."""

    def conv(x, layer, norm, part):
        kernel, bias = folded(layer, norm)
        y = g.node("Conv", [x, g.weight(f"{name}/{part}/w", kernel), g.weight(f"{name}/{part}/b", bias)],
                   f"{name}/{part}", kernel_shape=list(kernel.shape[2:]), strides=list(layer.stride),
                   pads=[*layer.padding, *layer.padding], group=layer.groups)
        return g.node("Relu", [y], f"{name}/{part}/relu")

    for i, (layer, norm) in enumerate(zip(model.convolutions, model.norms)):
        x = conv(x, layer, norm, f"conv{i}")
    mean = g.node("GlobalAveragePool", [x], f"{name}/mean")
    peak = g.node("GlobalMaxPool", [x], f"{name}/max")
    x = g.node("Concat", [mean, peak], f"{name}/pooled", axis=1)
    x = g.node("Flatten", [x], f"{name}/flat", axis=1)
    head = model.head.weight.detach().numpy().T / temperature
    x = g.node("MatMul", [x, g.weight(f"{name}/head/w", head)], f"{name}/head")
    x = g.node("Add", [x, g.weight(f"{name}/head/b", model.head.bias.detach().numpy() / temperature)], f"{name}/logits")
    return g.node("Softmax", [x], f"{name}/probabilities", axis=1)


def build(models: list[network.ImpactNet], labels_of_classes: list[int], labels: list[str], temperature: float = 1.0):
    """The whole graph; scores are the mean over the networks of the classes' probabilities summed per label."""
    g = Graph()
    x = add_front_end(g)
    parts = [add_network(g, m.eval(), x, f"net{i}", temperature) for i, m in enumerate(models)]
    total = g.node("Sum", parts, "fine") if len(parts) > 1 else parts[0]
    to_labels = np.zeros((len(labels_of_classes), len(labels)), np.float32)
    to_labels[np.arange(len(labels_of_classes)), labels_of_classes] = 1 / len(models)
    g.node("MatMul", [total, g.weight("to_labels", to_labels)], "scores")
    graph = helper.make_graph(
        g.nodes, "fender_impact",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", frontend.WINDOW_SAMPLES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(labels)])],
        g.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                              producer_name="fender-training")
    onnx.checker.check_model(model)
    return model


def describe(model: onnx.ModelProto, description: dict) -> onnx.ModelProto:
    """Puts the description into `metadata_props`: strings as they are, everything else as JSON."""
    del model.metadata_props[:]
    for key, value in description.items():
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        model.metadata_props.add(key=key, value=text)
    return model


def quantize(fp32: Path, int8: Path, windows: np.ndarray, batch: int = 32) -> None:
    """Static QDQ quantization of the networks (S8S8, weights per channel); the front end, whose dynamic range no 8 bits
    hold, and the softmax stay in fp32. `windows`: [n, samples] from the training folds."""
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.at = 0

        def get_next(self):
            if self.at >= len(windows):
                return None
            self.at += batch
            return {"audio": windows[self.at - batch : self.at]}

    names = [n.name for n in onnx.load(fp32).graph.node]
    exact = [n for n in names if n.startswith("front/") or n.endswith("/probabilities") or n in ("fine", "scores")]
    quantize_static(
        fp32, int8, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8, nodes_to_exclude=exact, calibrate_method=CalibrationMethod.MinMax,
        op_types_to_quantize=["Conv", "Relu", "MatMul", "Add", "GlobalAveragePool", "GlobalMaxPool", "Concat"],
    )
