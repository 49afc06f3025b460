"""Writes trained networks as one ONNX graph: raw 48 kHz audio in, label probabilities out."""

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


def add_network(g: Graph, model: network.ImpactNet, x: str, name: str) -> str:
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
    head = model.head.weight.detach().numpy().T
    x = g.node("MatMul", [x, g.weight(f"{name}/head/w", head)], f"{name}/head")
    x = g.node("Add", [x, g.weight(f"{name}/head/b", model.head.bias.detach().numpy())], f"{name}/logits")
    return g.node("Softmax", [x], f"{name}/probabilities", axis=1)


def build(saved: list[dict], config: dict) -> onnx.ModelProto:
    """The whole graph of what core.train_part returned; scores are the mean over the networks of the classes' probabilities
    summed per label."""
    classes, labels_of_classes = saved[0]["classes"], saved[0]["labels_of_classes"]
    g = Graph()
    x = add_front_end(g)
    parts = []
    for i, part in enumerate(saved):
        model = network.ImpactNet(len(classes), config["architecture"]["width"], config["architecture"]["dropout"])
        model.load_state_dict(part["weights"])
        parts.append(add_network(g, model.eval(), x, f"net{i}"))
    total = g.node("Sum", parts, "fine") if len(parts) > 1 else parts[0]
    to_labels = np.zeros((len(classes), len(config["labels"])), np.float32)
    to_labels[np.arange(len(classes)), labels_of_classes] = 1 / len(parts)
    g.node("MatMul", [total, g.weight("to_labels", to_labels)], "scores")
    return whole(g, len(config["labels"]))


def exact_nodes(model: onnx.ModelProto) -> list[str]:
    """Nodes that stay in fp32: the front end, whose dynamic range no 8 bits hold, and everything from the softmax on."""
    names = [node.name for node in model.graph.node]
    return [n for n in names if n.startswith(("front/", "calibrated/")) or n.endswith("/probabilities") or n in ("fine", "scores", "raw_scores")]


def whole(g: Graph, labels: int, opsets: tuple = ()) -> onnx.ModelProto:
    """The graph as a checked model: audio [batch, samples] → scores [batch, labels]."""
    graph = helper.make_graph(
        g.nodes, "fender_impact",
        [helper.make_tensor_value_info("audio", TensorProto.FLOAT, ["batch", frontend.WINDOW_SAMPLES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", labels])],
        g.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET), *opsets], ir_version=IR_VERSION,
                              producer_name="fender-training")
    onnx.checker.check_model(model)
    return model
