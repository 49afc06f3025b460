"""Writes trained networks as one ONNX graph: raw 48 kHz audio in, label probabilities out."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import frontend
import net as network

OPSET = 17
IR_VERSION = 8
BLOCK = 24  # samples that the low pass makes at once


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
    """audio [batch, samples] → features [batch, 1, frames, bands]. Forms that cost little: the low pass makes BLOCK samples at a time (one
    output channel each), and the transform is halved as in frontend.half_bases."""
    f32, i64 = np.float32, lambda *values: np.array(values, np.int64)
    one = g.weight("front/axis1", i64(1))
    # Rows of BLOCK output samples: each is made of its own input samples and the first of the next row's.
    pad, own = frontend.FIR_TAPS // 2, frontend.DECIMATION * BLOCK
    x = g.node("Pad", ["audio", g.weight("front/pads", i64(0, pad, 0, own - pad))], "front/padded")
    x = g.node("Reshape", [x, g.weight("front/rows", i64(0, -1, own))], "front/by_row")
    this = g.node("Slice", [x, g.weight("front/this/from", i64(0)), g.weight("front/this/to", i64(-1)), one], "front/this")
    following = g.node("Slice", [x, g.weight("front/next/from", i64(1, 0)), g.weight("front/next/to", i64(1 << 30, frontend.FIR_TAPS)),
                                 g.weight("front/next/axes", i64(1, 2))], "front/next")
    x = g.node("Concat", [this, following], "front/overlapping", axis=2)
    x = g.node("MatMul", [x, g.weight("front/fir", fir_block())], "front/decimated")
    x = g.node("Reshape", [x, g.weight("front/hops", i64(0, -1, frontend.HOP))], "front/by_hop")
    halves = []
    for half, (name, first, last) in enumerate((("first", 0, -1), ("second", 1, 1 << 30))):
        part = g.node("Slice", [x, g.weight(f"front/{name}/from", i64(first)), g.weight(f"front/{name}/to", i64(last)), one], f"front/{name}/samples")
        window = frontend.hann()[half * frontend.HOP : (half + 1) * frontend.HOP]
        halves.append(g.node("Mul", [part, g.weight(f"front/{name}/window", window)], f"front/{name}"))
    powers = []
    for op, name, basis, first in zip(("Add", "Sub"), ("even", "odd"), frontend.half_bases(), (0, 1)):
        basis = add_basis(g, name, first)
        y = g.node("MatMul", [g.node(op, halves, f"front/{name}/folded"), basis], f"front/{name}/spectrum")
        y = g.node("Mul", [y, y], f"front/{name}/squares")
        # The same mel matrix for real and imaginary parts adds their squares.
        mel = np.concatenate([frontend.mel_matrix()[first::2]] * 2, axis=0)
        mel = g.node("Cast", [g.weight(f"front/{name}/mel_half", mel.astype(np.float16))], f"front/{name}/mel", to=TensorProto.FLOAT)
        powers.append(g.node("MatMul", [y, mel], f"front/{name}/power"))
    x = g.node("Add", powers, "front/mel_power")
    mean = g.node("ReduceMean", [x], "front/mean", axes=[1, 2], keepdims=1)
    mean = g.node("Add", [mean, g.weight("front/absolute_floor", f32(network.ABSOLUTE_FLOOR))], "front/mean_floor")
    x = g.node("Div", [x, mean], "front/relative")
    x = g.node("Add", [x, g.weight("front/relative_floor", f32(network.RELATIVE_FLOOR))], "front/floor")
    x = g.node("Log", [x], "front/log")
    x = g.node("Mul", [x, g.weight("front/scale", f32(0.3))], "front/scaled")
    return g.node("Unsqueeze", [x, "front/axis1"], "front/features")


def add_channels(g: Graph, x: str) -> str:
    """network.channels: [batch, 1, frames, bands] → [batch, 2, frames, bands]."""
    usual = g.node("ReduceMean", [x], "front/usual", axes=[2], keepdims=1)
    return g.node("Concat", [x, g.node("Sub", [x, usual], "front/standing_out")], "front/channels", axis=1)


def add_basis(g: Graph, name: str, first: int) -> str:
    """frontend.half_bases()[first], made of constants when the model is loaded: so it takes no room in the file."""
    constant = lambda part, value: g.weight(f"front/{name}/{part}", np.asarray(value, np.float32))
    turns = g.node("Mul", [constant("samples_of_hop", np.arange(frontend.HOP)[:, None]),
                           constant("bins", np.arange(first, frontend.mel_bins(), 2)[None])], f"front/{name}/turns")
    # Whole numbers below 2^24 are exact, so nothing is lost.
    turns = g.node("Mod", [turns, constant("whole_turn", frontend.N_FFT)], f"front/{name}/turn", fmod=1)
    phase = g.node("Mul", [turns, constant("radians", 2 * np.pi / frontend.N_FFT)], f"front/{name}/phase")
    parts = [g.node(op, [phase], f"front/{name}/{op.lower()}") for op in ("Cos", "Sin")]
    return g.node("Concat", parts, f"front/{name}/basis", axis=1)


def fir_block() -> np.ndarray:
    """The low pass as BLOCK filters [samples, BLOCK], each shifted by one output sample: a convolution of one channel is slow."""
    step = frontend.DECIMATION
    filters = np.zeros((step * BLOCK + frontend.FIR_TAPS, BLOCK), np.float32)
    for i in range(BLOCK):
        filters[i * step : i * step + frontend.FIR_TAPS, i] = frontend.fir_low_pass()
    return filters


def add_views(g: Graph, x: str) -> str:
    """The channels from each of network.VIEWS on, as more of a batch: [views × batch, 2, VIEW_FRAMES, bands]."""
    axis = g.weight("views/axis", np.array([2], np.int64))
    parts = [g.node("Slice", [x, g.weight(f"views/from{first}", np.array([first], np.int64)),
                              g.weight(f"views/to{first}", np.array([first + network.VIEW_FRAMES], np.int64)), axis], f"views/{first}")
             for first in network.VIEWS]
    return g.node("Concat", parts, "views/all", axis=0)


def folded(conv, norm) -> tuple[np.ndarray, np.ndarray]:
    """Convolution weights with the batch norm that follows folded in."""
    scale = (norm.weight / (norm.running_var + norm.eps).sqrt()).detach().numpy()
    kernel = conv.weight.detach().numpy() * scale[:, None, None, None]
    return kernel, norm.bias.detach().numpy() - norm.running_mean.numpy() * scale


def add_network(g: Graph, model: network.ImpactNet, x: str, name: str) -> str:
    """channels → probabilities of the fine classes [batch, classes] of one network."""

    def conv(x, layer, norm, part):
        kernel, bias = folded(layer, norm) if norm else (layer.weight.detach().numpy(), np.zeros(layer.out_channels, np.float32))
        y = g.node("Conv", [x, g.weight(f"{name}/{part}/w", kernel), g.weight(f"{name}/{part}/b", bias)],
                   f"{name}/{part}", kernel_shape=list(kernel.shape[2:]), strides=list(layer.stride),
                   pads=[*layer.padding, *layer.padding], group=layer.groups)
        return g.node("Relu", [y], f"{name}/{part}/relu") if norm else y

    x = conv(x, model.stem, model.stem_norm, "exact/stem")
    for i, (deep, wide, norm) in enumerate(zip(model.deep, model.wide, model.norms)):
        x = conv(x, deep, None, f"block{i}/deep")
        x = conv(x, wide, norm, f"block{i}/wide")
    x = conv(x, model.column, model.column_norm, "exact/column")
    mean = g.node("GlobalAveragePool", [x], f"{name}/exact/mean")
    peak = g.node("GlobalMaxPool", [x], f"{name}/exact/max")
    x = g.node("Concat", [mean, peak], f"{name}/exact/pooled", axis=1)
    x = g.node("Flatten", [x], f"{name}/exact/flat", axis=1)
    head = model.head.weight.detach().numpy().T
    x = g.node("MatMul", [x, g.weight(f"{name}/head/w", head)], f"{name}/exact/head")
    x = g.node("Add", [x, g.weight(f"{name}/head/b", model.head.bias.detach().numpy())], f"{name}/exact/logits")
    return g.node("Softmax", [x], f"{name}/exact/probabilities", axis=1)


def build(saved: list[dict], config: dict) -> onnx.ModelProto:
    """The whole graph of what core.train_part returned; scores are the mean over the networks of the classes' probabilities
    summed per label."""
    classes, labels_of_classes = saved[0]["classes"], saved[0]["labels_of_classes"]
    g = Graph()
    views, parts = add_views(g, add_channels(g, add_front_end(g))), []
    for i, part in enumerate(saved):
        model = network.restored(part["weights"], len(classes), config["architecture"])
        parts.append(add_network(g, model, views, f"net{i}"))
    total = g.node("Sum", parts, "fine") if len(parts) > 1 else parts[0]
    # [views × batch, classes] → [views, batch, classes] → mean over the views
    apart = g.node("Reshape", [total, g.weight("views/apart", np.array([len(network.VIEWS), -1, len(classes)], np.int64))], "by_view")
    total = g.node("ReduceMean", [apart], "over_views", axes=[0], keepdims=0)
    to_labels = np.zeros((len(classes), len(config["labels"])), np.float32)
    to_labels[np.arange(len(classes)), labels_of_classes] = 1 / len(parts)
    g.node("MatMul", [total, g.weight("to_labels", to_labels)], "scores")
    return whole(g, len(config["labels"]))


def exact_nodes(model: onnx.ModelProto) -> list[str]:
    """Nodes that stay in fp32: all but the blocks from their first 1×1 convolution on. No 8 bits hold the dynamic range of the front end; the rest costs little."""
    return [node.name for node in model.graph.node if "/block" not in node.name or node.name.endswith("/block0/deep")]


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
