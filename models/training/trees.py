"""The architecture `trees`: extremely randomised or gradient-boosted trees (scikit-learn) on statistics of the spectrum. The
front end and the statistics are computed by the ONNX graph itself, in training as on the vehicle, so there is one definition."""

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier

import core
import export
import frontend
import net
import sampler
from data import Clip, Work

CODE = (*core.CODE, "export", "trees")
PRECISIONS = ("fp32",)
HOW = "an ensemble of decision trees on statistics of level-normalised mel powers"
ML_OPSET = 3
BATCH = 256


def stages(config: dict) -> list[list[str]]:
    return [["forest"]]


def prepare(clips: list[Clip], config: dict, work: Work, jobs: int) -> None:
    core.prepare(clips, config, work, jobs)


def add_statistics(g: export.Graph, x: str) -> str:
    """Features [batch, 1, frames, bands] → statistics over time [batch, 6 × bands + 6]: per band mean, spread, highest, lowest,
    mean and highest rise between neighbouring frames; and of the whole window's level the same."""
    band = g.node("Squeeze", [x, "front/axis1"], "stats/bands")
    level = g.node("ReduceMean", [band], "stats/level", axes=[2], keepdims=1)
    both = g.node("Concat", [band, level], "stats/both", axis=2)
    mean = g.node("ReduceMean", [both], "stats/mean", axes=[1], keepdims=1)
    away = g.node("Sub", [both, mean], "stats/away")
    square = g.node("Mul", [away, away], "stats/square")
    variance = g.node("ReduceMean", [square], "stats/variance", axes=[1], keepdims=1)
    spread = g.node("Sqrt", [variance], "stats/spread")
    high = g.node("ReduceMax", [both], "stats/high", axes=[1], keepdims=1)
    low = g.node("ReduceMin", [both], "stats/low", axes=[1], keepdims=1)
    index = lambda name, value: g.weight(f"stats/{name}", np.array([value], np.int64))
    later = g.node("Slice", [both, index("one", 1), index("end", frontend.FRAMES), "front/axis1"], "stats/later")
    before = g.node("Slice", [both, index("zero", 0), index("last", -1), "front/axis1"], "stats/before")
    rise = g.node("Relu", [g.node("Sub", [later, before], "stats/step")], "stats/rise")
    rises = g.node("ReduceMean", [rise], "stats/rises", axes=[1], keepdims=1)
    steepest = g.node("ReduceMax", [rise], "stats/steepest", axes=[1], keepdims=1)
    together = g.node("Concat", [mean, spread, high, low, rises, steepest], "stats/together", axis=1)
    return g.node("Flatten", [together], "stats/statistics", axis=1)


def statistics_graph(from_features: bool) -> onnx.ModelProto:
    """Only the statistics: of `audio` [batch, samples], or of `front/features` [batch, 1, frames, bands]."""
    g = export.Graph()
    if from_features:
        g.weight("front/axis1", np.array([1], np.int64))
        name, shape, x = "front/features", ["batch", 1, frontend.FRAMES, frontend.MEL_BANDS], "front/features"
    else:
        name, shape, x = "audio", ["batch", frontend.WINDOW_SAMPLES], export.add_front_end(g)
    output = add_statistics(g, x)
    graph = helper.make_graph(g.nodes, "statistics", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
                              [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", None])], g.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", export.OPSET)], ir_version=export.IR_VERSION)


def session(model: onnx.ModelProto):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def training_table(clips: list[Clip], config: dict, seed: int, work: Work, log) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Statistics [n, features], likeliest label [n] and its share of the target [n] of `architecture.windows` windows, drawn and
    varied as for the networks."""
    draw = sampler.Sampler(list(sampler.open_pools(clips, config, work, 1).values()), config, seed)
    wanted = core.targets(draw, config, seed, log)
    to_label = torch.nn.functional.one_hot(torch.tensor(draw.labels_of_classes), len(config["labels"])).float()
    run, rows, targets = session(statistics_graph(True)), [], []
    for done in range(0, config["architecture"]["windows"], BATCH):
        power, at = draw.batch(BATCH)
        rows.append(run.run(None, {"front/features": net.features(power)[:, None].numpy()})[0])
        targets.append((wanted[at] @ to_label).numpy())
        if done // BATCH % 40 == 39:
            log(f"window {done + BATCH} of {config['architecture']['windows']}")
    target = np.concatenate(targets)
    return np.concatenate(rows), target.argmax(axis=1), target.max(axis=1)


def fit(x: np.ndarray, y: np.ndarray, weight: np.ndarray, settings: dict, seed: int):
    """The fitted scikit-learn classifier; one thread, so that the same seed gives the same trees."""
    if settings["kind"] == "extra_trees":
        model = ExtraTreesClassifier(settings["trees"], criterion="entropy", max_leaf_nodes=settings["max_leaf_nodes"], max_features=settings["max_features"],
                                     min_samples_leaf=settings["min_samples_leaf"], random_state=seed, n_jobs=1)
    else:
        model = HistGradientBoostingClassifier(max_iter=settings["trees"], max_leaf_nodes=settings["max_leaf_nodes"], max_features=settings["max_features"],
                                               min_samples_leaf=settings["min_samples_leaf"], learning_rate=settings["learning_rate"],
                                               early_stopping=False, random_state=seed)
    return model.fit(x, y, weight)


def train_part(part: str, clips: list[Clip], config: dict, seed: int, work: Work, log, earlier: dict) -> dict:
    x, y, weight = training_table(clips, config, seed, work, log)
    log(f"fitting {config['architecture']['trees']} trees to {len(x)} windows × {x.shape[1]} statistics")
    return tables(fit(x, y, weight, config["architecture"], seed), len(config["labels"]))


def tables(model, labels: int) -> dict:
    """A fitted classifier as plain arrays: per tree of features, thresholds, children and leaf values [nodes, labels]; `base`
    is added to their sum, and `softmax` says whether that is a logit."""
    if isinstance(model, ExtraTreesClassifier):
        trees = [_forest_tree(estimator.tree_, model.n_estimators, model.classes_, labels) for estimator in model.estimators_]
        return {"trees": trees, "base": np.zeros(labels), "softmax": False}
    per_step = len(model._predictors[0])  # one tree for each label, or one in all for two labels
    trees = [_boosted_tree(predictor, label if per_step > 1 else 1, labels, per_step)
             for step in model._predictors for label, predictor in enumerate(step)]
    base = np.zeros(labels)
    base[-per_step:] = model._baseline_prediction.ravel()
    return {"trees": trees, "base": base, "softmax": True}


def _forest_tree(tree, count: int, classes: np.ndarray, labels: int) -> dict:
    share = tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)
    values = np.zeros((tree.node_count, labels))
    values[:, classes] = share / count
    return {"feature": tree.feature.clip(0), "threshold": below(tree.threshold), "left": tree.children_left,
            "right": tree.children_right, "leaf": tree.children_left < 0, "values": values}


def _boosted_tree(predictor, label: int, labels: int, per_step: int) -> dict:
    nodes = predictor.nodes
    values = np.zeros((len(nodes), labels))
    values[:, label] = nodes["value"]
    return {"feature": nodes["feature_idx"].clip(0), "threshold": below(nodes["num_threshold"]), "left": nodes["left"].astype(np.int64),
            "right": nodes["right"].astype(np.int64), "leaf": nodes["is_leaf"] == 1, "values": values}


def below(threshold: np.ndarray) -> np.ndarray:
    """The greatest float32 at or below each threshold: x ≤ it holds for the same float32 x."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded.astype(np.float64) > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded).astype(np.float32)


def add_trees(g: export.Graph, x: str, saved: dict, labels: int) -> str:
    """Statistics → scores, by TreeEnsembleRegressor (its classifier would do the same with a longer table)."""
    columns = {name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")}
    targets = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(saved["trees"]):
        leaf, count = tree["leaf"], len(tree["leaf"])
        columns["treeids"] += [number] * count
        columns["nodeids"] += range(count)
        columns["featureids"] += np.where(leaf, 0, tree["feature"]).tolist()
        columns["values"] += np.where(leaf, 0, tree["threshold"]).tolist()
        columns["modes"] += np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
        columns["truenodeids"] += np.where(leaf, 0, tree["left"]).tolist()
        columns["falsenodeids"] += np.where(leaf, 0, tree["right"]).tolist()
        for node in np.flatnonzero(leaf):
            for label in np.flatnonzero(tree["values"][node]):
                targets["treeids"].append(number)
                targets["nodeids"].append(int(node))
                targets["ids"].append(int(label))
                targets["weights"].append(float(tree["values"][node, label]))
    attributes = {f"nodes_{k}": v for k, v in columns.items()} | {f"target_{k}": v for k, v in targets.items()}
    output = "trees" if saved["softmax"] else "scores"
    g.nodes.append(helper.make_node("TreeEnsembleRegressor", [x], [output], name=output, domain="ai.onnx.ml", n_targets=labels,
                                    aggregate_function="SUM", post_transform="NONE", base_values=saved["base"].tolist(), **attributes))
    return g.node("Softmax", [output], "scores", axis=1) if saved["softmax"] else output


def build(saved: list[dict], config: dict) -> onnx.ModelProto:
    """audio → front end → statistics → trees → scores."""
    g = export.Graph()
    add_trees(g, add_statistics(g, export.add_front_end(g)), saved[0], len(config["labels"]))
    return export.whole(g, len(config["labels"]), (helper.make_opsetid("ai.onnx.ml", ML_OPSET),))


def exact_nodes(model: onnx.ModelProto) -> list[str]:
    return [node.name for node in model.graph.node]
