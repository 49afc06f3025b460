"""The model card: figures as Markdown with plots beside it. Text around the generated part is kept when the card is written again,
so that people may add what they know."""

import json
import re
from pathlib import Path

import credits
import data
import judging
import plots

BEGIN, END = "<!-- figures: written by training/train.py -->", "<!-- end of figures -->"
GENERATED_BY_HAND = """# {name}

{how}. One second of mono sound at 48 kHz in, {labels} out.

{begin}
{end}

## Credits

Clips that the model was trained or judged on (fold 0: trained alone), whose licences ask for a credit. Clips under CC0 or in the public
domain need none and have our thanks.

{credits_mark}
"""


def heard_as(windows, threshold: float) -> int:
    """Number of the label that a clip is heard as: background under the threshold."""
    best = judging.best_two(windows).mean(axis=0)
    return 0 if 1 - best[0] < threshold else 1 + int(best[1:].argmax())


def write(out: Path, config: dict, architecture, clips: list, folders: list[Path], judged: dict, evaluation: dict | None, thresholds: dict,
          sizes: dict[str, int], calibration, ambience) -> None:
    """OUT/NAME.md, OUT/card/NAME-*.png and OUT/card/NAME.json."""
    name = config["name"]
    lines = about(config, architecture, clips, thresholds, sizes, calibration, ambience)
    if evaluation is not None:
        form = list(evaluation["precisions"])[-1]
        draw(out / "card", config, judged[form, judging.CLEAN], evaluation, min(thresholds.values()))
        lines += told(config, evaluation, form)
        text = json.dumps(evaluation, indent=1) + "\n"
        data.save_whole(out / "card" / f"{name}.json", lambda f: f.write(text.encode()))
    path = out / f"{name}.md"
    fresh = GENERATED_BY_HAND.format(name=name, how=architecture.HOW[0].upper() + architecture.HOW[1:], labels=", ".join(config["labels"]),
                                     begin=BEGIN, end=END, credits_mark=credits.MARK)
    old = path.read_text() if path.exists() else fresh
    if BEGIN not in old or END not in old:
        raise data.DataError(f"{path}: expected the lines {BEGIN} and {END} around the generated part, found them not; add them or move the file away")
    before, after = old.split(BEGIN)[0], old.split(END)[1]
    body = before + BEGIN + "\n\n" + "\n".join(lines) + "\n" + END + after
    rows = [row for row in data.read_rows(folders) if any(row["folder"] / row["file"] == clip.path for clip in clips)]
    body = body.split(credits.MARK)[0] + f"{credits.MARK}\n\n{credits.credits(rows)}" if credits.MARK in body else body
    data.save_whole(path, lambda f: f.write(body.encode()))


def draw(folder: Path, config: dict, judged: list, evaluation: dict, threshold: float) -> None:
    name, seed, resamples = config["name"], config["seed"], min(500, config["evaluation"]["resamples"])
    plots.roc(judged, resamples, seed, folder / f"{name}-roc.png")
    plots.precision_recall(judged, resamples, seed, folder / f"{name}-precision-recall.png")
    plots.score_histograms(judged, threshold, folder / f"{name}-scores.png")
    plots.reliability(judged, folder / f"{name}-calibration.png")
    plots.confusion(judged, config["labels"], threshold, heard_as, folder / f"{name}-classes.png")
    plots.noise(evaluation, folder / f"{name}-noise.png")


def about(config: dict, architecture, clips: list, thresholds: dict, sizes: dict[str, int], calibration, ambience) -> list[str]:
    labelled = [c for c in clips if c.labelled]
    rendered = sum(g["seconds"] * len(g["seeds"]) for g in config["generated"])
    rows = [
        ("version", config["version"]),
        ("inside", architecture.HOW),
        ("learned from", f"{sum(c.fold in (0, *config['data']['folds']) for c in labelled)} labelled clips of {len({c.cls for c in labelled})} classes, "
                         f"{len(clips) - len(labelled)} unlabelled clips, {rendered / 60:.0f} minutes of generated sound"),
        ("thresholds", ", ".join(f"`{k}` {v:g}" for k, v in thresholds.items())
         + ("" if config["thresholds"] else f", set for {config['false_alarm_budget_per_hour']:g} false alarms an hour of backgrounds")),
        ("calibration", "none" if calibration is None else
         f"temperature {calibration.temperature:g} and a shift of background's logit by {calibration.background_shift:g}, in the graph"),
        ("ambience", "none: scores count on their own" if ambience is None else
         f"{ambience.weight:g} of what the log-odds of an impact around a window are over {ambience.usual:g} is taken off the window's; around it are "
         f"{config['ambience']['span_s']:g} s up to it (here: the whole clip) and {config['ambience']['assumed_s']:g} s of that usual value"),
        ("files", ", ".join(f"{form} {size / 1e6:.2f} MB" for form, size in sizes.items())
         + ("" if len(architecture.PRECISIONS) > 1 else "; trees compare numbers and have no int8 form")),
        ("seed", str(config["seed"])),
    ]
    if "committee" in config:
        rows.insert(3, ("committee", f"{config['committee']['members']} other networks that learned from the same clips: what they agree on is "
                                     f"{config['committee']['weight']:g} of what every window was to be named"))
    if "distillation" in config:
        rows.insert(3, ("teacher", config["distillation"]["source"]))
    return table(["", ""], rows)


def told(config: dict, evaluation: dict, form: str) -> list[str]:
    """The figures of clips, of noise, of int8 against fp32, and of false alarms."""
    name, clean = config["name"], evaluation["precisions"][form][judging.CLEAN]
    measures = {"roc_auc": "ROC AUC", "average_precision": "average precision", "recall_at_fpr_0.02": "recall at 2 % false alarms",
                "recall_at_fpr_0.05": "recall at 5 %", "recall_at_fpr_0.1": "recall at 10 %"}
    folds = list(clean["by_fold"])
    alarms = evaluation["at_thresholds"]
    image = lambda part, words: f"![{words}](card/{name}-{part}.png)"
    return [
        "", f"### On clips that it never met ({form})", "",
        f"{evaluation['impacts']} clips with an impact, {evaluation['others']} others. {sentence(evaluation['method'])}", "",
        *table(["", "mean", "95 % interval", *folds],
               [(words, show(clean["mean"][m][0]), f"{show(clean['mean'][m][1])} – {show(clean['mean'][m][2])}",
                 *(show(clean["by_fold"][fold][m]) for fold in folds)) for m, words in measures.items()]), "",
        f"The kind of impact is right for {percent(evaluation['kind_right_among_detected'])} of the impacts that reach the threshold. "
        f"Expected calibration error {show(evaluation['expected_calibration_error'])}, Brier score {show(evaluation['brier'])}.", "",
        *table(["label", *measures_of_labels()],
               [(f"`{label}`", *(show(values[m]) for m in ("roc_auc", "recall_at_fpr_0.02", "recall_at_fpr_0.05", "recall_at_fpr_0.1")))
                for label, values in clean["labels"].items()]), "",
        image("roc", "Recall against false alarms, with the interval of the mean"), "",
        image("precision-recall", "Precision against recall, with the interval of the mean"), "",
        image("scores", "Histogram of the clips' scores by group"), "",
        image("calibration", "How sure the model was against how often it was right"), "",
        image("classes", "What the clips of each class were heard as"), "",
        f"At the threshold {alarms['threshold']:g}, {percent(alarms['recall'])} of the clips with an impact have a window that reaches it; false alarms: "
        + "; ".join(f"{v['false_alarms']} in {v['hours']:.2f} h of {group} clips ({v['per_hour']:g} an hour)" for group, v in alarms.items() if isinstance(v, dict))
        + ".", "",
        "### In noise" + (", fp32 and int8" if len(evaluation["precisions"]) > 1 else ""), "",
        "Every clip, impact or not, mixed into a recording of " + ", ".join(config["evaluation"]["noise_classes"] or ["nothing"]) +
        " of the same fold; the ratio is of the clip's active part (50 ms blocks within 20 dB of its loudest) to the noise's mean power. "
        f"Figures are means over the draws of which recording lies under which clip: {config['evaluation']['draws']}. Their intervals are of other clips over "
        "these recordings.", "",
        *noise_table(evaluation), "",
        image("noise", "ROC AUC and recall by signal-to-noise ratio"), "",
        *compared(evaluation),
        *on_their_own(evaluation),
    ]


def measures_of_labels() -> list[str]:
    return ["ROC AUC", "recall at 2 %", "at 5 %", "at 10 %"]


def noise_table(evaluation: dict) -> list[str]:
    header, rows = ["signal to noise", "form", "ROC AUC (95 %)", "single draws", "recall at 2 %", "at 5 %"], []
    for condition in next(iter(evaluation["precisions"].values())):
        for form, conditions in evaluation["precisions"].items():
            mean, labels = conditions[condition]["mean"], conditions[condition]["labels"]
            auc, draws = mean["roc_auc"], [value for value in conditions[condition]["roc_auc_of_draws"] if value is not None]
            rows.append((condition if condition == judging.CLEAN else f"{condition} dB", form, f"{show(auc[0])} ({show(auc[1])} – {show(auc[2])})",
                         span_of(draws),
                         show(mean["recall_at_fpr_0.02"][0]), show(mean["recall_at_fpr_0.05"][0]),
                         *(f"{show(v['roc_auc'])} / {show(v['recall_at_fpr_0.05'])}" for v in labels.values())))
    names = list(labels)
    return table([*header, *(f"`{label}`: AUC / recall at 5 %" for label in names)], rows)


def span_of(draws: list[float]) -> str:
    return f"{show(min(draws))} – {show(max(draws))}" if len(draws) > 1 else "–"


def compared(evaluation: dict) -> list[str]:
    if "int8_against_fp32" not in evaluation:
        return ["Trees compare numbers and have no int8 form: there is nothing to compare.", ""]
    rows = [(c if c == judging.CLEAN else f"{c} dB", signed(d["loss_of_roc_auc"]), f"{d['mean_score_difference']:.4f}", show(d["worst_score_difference"]))
            for c, d in evaluation["int8_against_fp32"].items()]
    return ["What int8 costs:", "", *table(["signal to noise", "loss of ROC AUC", "mean difference of scores", "worst"], rows), ""]


def on_their_own(evaluation: dict) -> list[str]:
    if "without_ambience" not in evaluation:
        return []
    own = evaluation["without_ambience"]
    said = ", ".join(f"{show(auc)} {'clean' if c == judging.CLEAN else f'at {c} dB'}" for c, auc in own["roc_auc"].items())
    return [f"By scores on their own, not beside the ambience, the ROC AUC would be {said}; they are what is calibrated: expected error "
            f"{show(own['expected_calibration_error'])}, Brier score {show(own['brier'])}.", ""]


def short(evaluation: dict | None, form: str) -> str:
    if evaluation is None:
        return "no fold was held out, so nothing was judged: see folds and data.held_out"
    mean = evaluation["precisions"][form][judging.CLEAN]["mean"]
    return f"{form}: " + ", ".join(f"{k} {show(v[0])} ({show(v[1])} – {show(v[2])})" for k, v in mean.items())


def table(header: list[str], rows: list) -> list[str]:
    """A Markdown table whose columns are as wide as their widest cell, as the tree's other tables."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(header))]
    line = lambda row: "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"
    return [line(cells[0]), "| " + " | ".join("-" * w for w in widths) + " |", *map(line, cells[1:])]


def show(value) -> str:
    return "–" if value is None else f"{value:.3f}"


def signed(value) -> str:
    return "–" if value is None else f"{value:+.4f}"


def percent(value) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def sentence(text: str) -> str:
    return re.sub(r"^.", lambda m: m[0].upper(), text) + "."
