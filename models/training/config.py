"""Reads the one YAML file of a training run and checks every value of it: errors name the field, what was expected and what
was found. What is not listed here is refused, so that a misspelt setting never goes unnoticed."""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import yaml

REQUIRED = object()


class ConfigError(Exception):
    """Every problem of a file, one a line."""


@dataclass(frozen=True)
class Field:
    """A single value: what is expected in words, whether a value is that, and what stands in when it is absent."""

    expected: str
    fits: Callable[[object], bool]
    default: object = REQUIRED


@dataclass(frozen=True)
class Section:
    """A mapping of known keys; when `optional`, the whole of it may be absent (it is then left out)."""

    fields: dict
    optional: bool = False


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def number(low: float, high: float, default=REQUIRED) -> Field:
    return Field(f"a number from {low:g} to {high:g}", lambda v: _number(v) and low <= v <= high, default)


def whole(low: int, high: int, default=REQUIRED) -> Field:
    return Field(f"a whole number from {low} to {high}", lambda v: _number(v) and isinstance(v, int) and low <= v <= high, default)


def text(pattern: str = r".+", words: str = "some text", default=REQUIRED) -> Field:
    return Field(words, lambda v: isinstance(v, str) and re.fullmatch(pattern, v) is not None, default)


def one_of(*choices, default=REQUIRED) -> Field:
    return Field("one of " + ", ".join(map(str, choices)), lambda v: v in choices, default)


def flag(default=REQUIRED) -> Field:
    return Field("true or false", lambda v: isinstance(v, bool), default)


def many(inner: Field, least: int = 1, default=REQUIRED) -> Field:
    return Field(f"a list of at least {least}, each {inner.expected}",
                 lambda v: isinstance(v, list) and len(v) >= least and all(map(inner.fits, v)), default)


def span(low: float, high: float, default=REQUIRED) -> Field:
    return Field(f"two ascending numbers from {low:g} to {high:g}",
                 lambda v: isinstance(v, list) and len(v) == 2 and all(map(_number, v)) and low <= v[0] <= v[1] <= high, default)


def mapping(inner: Field, key: str = r"[A-Za-z0-9_]+", default=REQUIRED) -> Field:
    return Field(f"names, each with {inner.expected}",
                 lambda v: isinstance(v, dict) and all(re.fullmatch(key, str(k)) and inner.fits(x) for k, x in v.items()), default)


RATIO = number(0, 1)
NAME = r"[a-z0-9][a-z0-9-]*"
LABEL = r"[a-z0-9_]+"
FOLDS = many(whole(1, 1000))

# Each architecture's own settings, by `architecture.name`.
ARCHITECTURES = {
    "ds_cnn": Section({
        "name": one_of("ds_cnn"),
        "networks": whole(1, 16, 1),
        "stem": whole(2, 256),
        "blocks": Field("a list of [channels, stride], channels 4 to 1024, stride 1 or 2",
                        lambda v: isinstance(v, list) and v != [] and all(isinstance(b, list) and len(b) == 2 and 4 <= b[0] <= 1024 and b[1] in (1, 2) for b in v)),
        "dropout": number(0, 0.9, 0.3),
    }),
    "trees": Section({
        "name": one_of("trees"),
        "kind": one_of("extra_trees", "gradient_boosting"),
        "trees": whole(1, 2000),
        "max_leaf_nodes": whole(2, 4096),
        "min_samples_leaf": whole(1, 10_000, 2),
        "max_features": number(0.001, 1, 0.1),
        "windows": whole(100, 2_000_000),
        "learning_rate": number(0.001, 1, 0.1),
    }),
}

AUGMENTATION = Section({
    # How many windows are made: a labelled clip, an unlabelled clip, a minute of generated sound.
    "windows": Section({kind: whole(1, 100_000) for kind in ("labelled", "unlabelled", "generated")}),
    # Share of training windows by kind; they are scaled to sum to one.
    "shares": Section({kind: RATIO for kind in
                       ("real_impact", "generated_impact", "confuser", "background", "generated_drive", "unlabelled")}),
    "peak_share": RATIO,
    "alone": number(0, 1, 0.3),  # of the windows around a loud moment: it alone
    "mix_impact": RATIO,
    "mix_other": RATIO,
    "snr_db": span(-40, 80),
    "tilt_db": number(0, 40),
    "ripple_db": number(0, 40),
    "low_pass": RATIO,
    "high_pass": RATIO,
    "echo": RATIO,
    "noise": RATIO,
    "array": number(0, 1, 0.3),
    "clip": number(0, 1, 0.1),
    "noisy": number(0, 1, 0.3),
    "mask": RATIO,
    "mask_bands": whole(2, 64),
    "mask_frames": whole(2, 90),
})

OPTIMISER = Section({
    "common_steps": whole(0, 1_000_000, 0),  # once, for all networks: on fold 0 and generated sound, the teacher's answers only
    "steps": whole(1, 1_000_000),
    "batch": whole(2, 4096),
    "learning_rate": number(1e-7, 1),
    "weight_decay": number(0, 1),
    "label_smoothing": number(0, 0.5, 0.0),
}, optional=True)

# Others that are trained ahead on the same clips; the shipped network learns from what they say together. Takes about three times as long.
COMMITTEE = Section({
    "members": whole(1, 16),
    "steps": whole(1, 1_000_000),
    "weight": RATIO,  # share of what they say in the targets
}, optional=True)

DISTILLATION = Section({
    "teacher": text(r"[^/]+", "the name of an ONNX file in the cache folder"),
    "sha256": text(r"[0-9a-f]{64}", "64 hexadecimal digits"),
    "source": text(words="where the teacher comes from, with its licence"),
    "posterior": RATIO,  # share of what its head says in the targets of labelled windows
    "embedding": number(0, 100),  # weights of copying its embedding and its tags
    "tags": number(0, 100),
}, optional=True)

GENERATED = Section({
    "seeds": many(whole(0, 2**31 - 1)),
    "seconds": whole(1, 36_000),
    "background": one_of("none", "drive"),
    "eventsPerMinute": number(0, 60),
    "minGapS": number(0, 600, 1.5),
    "snrDb": span(-40, 80, [6, 30]),
    "confusersPerMinute": number(0, 60),
})

SCHEMA = Section({
    "name": text(NAME, "lower-case letters, digits and dashes"),
    "version": text(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", "a semantic version, for instance 1.2.0"),
    "author": text(),
    "dataset_tag": text(),
    "seed": whole(0, 2**31 - 1),
    "labels": many(text(LABEL, "a label of a-z, 0-9 and _"), 2),
    "classes": mapping(text(LABEL, "one of `labels`")),
    "data": Section({
        "folds": FOLDS,
        "held_out": many(whole(1, 1000), 0, []),
        "unlabelled": flag(True),
    }),
    "folds": many(whole(1, 1000), 0, []),
    "input": Section({
        "topic": text(r"/.+", "a graph topic, which begins with /"),
        "channels": whole(1, 64),
        "hop_s": number(0.01, 30),
    }),
    "augmentation": AUGMENTATION,
    "generated": Field("a list of renderings", lambda v: isinstance(v, list), []),
    "architecture": Field("a mapping with a name", lambda v: isinstance(v, dict)),
    "optimiser": OPTIMISER,
    "committee": COMMITTEE,
    "distillation": DISTILLATION,
    "quantization": Section({
        "precision": one_of("int8", "none"),
        "windows": whole(8, 100_000, 512),
        "method": one_of("minmax", "entropy", "percentile", default="minmax"),
    }),
    "events": mapping(number(0, 60), r"release_ratio|sure_after_s|shown_after_s|merge_s|longest_s", {}),
    # Scores count beside those of the sound around them (models/ambience.ts); absent: on their own.
    "ambience": Section({"weight": RATIO, "span_s": number(0.1, 60, 5), "assumed_s": number(0, 60, 1.5)}, optional=True),
    "false_alarm_budget_per_hour": number(0.01, 10_000),
    "thresholds": mapping(RATIO, LABEL, {}),
    "evaluation": Section({
        "noise_classes": many(text(LABEL, "a class"), 0, []),
        "snr_db": many(number(-60, 60), 0, []),
        "draws": whole(1, 100, 4),  # each with noise under the clips that is drawn anew
        "resamples": whole(10, 100_000, 2000),
    }),
})


def load(path: Path) -> dict:
    """The checked configuration with every default filled in. Raises ConfigError that names each field at fault."""
    try:
        raw = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    problems: list[str] = []
    config = _section(raw, SCHEMA, "", problems)
    if not problems:
        _architecture(config, problems)
        config["generated"] = [_section(job, GENERATED, f"generated[{i}]", problems)
                               for i, job in enumerate(config["generated"])]
    if not problems:
        _together(config, problems)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return config


def _section(value, section: Section, where: str, problems: list[str]) -> dict:
    if not isinstance(value, dict):
        problems.append(f"{where or 'the file'}: expected keys and values, found {_shown(value)}")
        return {}
    name = lambda key: f"{where}.{key}" if where else str(key)
    for key in value:
        if key not in section.fields:
            near = difflib.get_close_matches(str(key), section.fields, 1)
            hint = f" (did you mean {near[0]}?)" if near else f"; known: {', '.join(section.fields)}"
            problems.append(f"{name(key)}: expected no such setting{hint}, found {_shown(value[key])}")
    result = {}
    for key, field in section.fields.items():
        if isinstance(field, Section):
            if key in value or not field.optional:
                result[key] = _section(value.get(key), field, name(key), problems)
        elif key not in value:
            if field.default is REQUIRED:
                problems.append(f"{name(key)}: expected {field.expected}, found nothing")
            result[key] = field.default
        elif not field.fits(value[key]):
            problems.append(f"{name(key)}: expected {field.expected}, found {_shown(value[key])}")
        else:
            result[key] = value[key]
    return result


def _architecture(config: dict, problems: list[str]) -> None:
    name = config["architecture"].get("name")
    if name not in ARCHITECTURES:
        problems.append(f"architecture.name: expected one of {', '.join(ARCHITECTURES)}, found {_shown(name)}")
    else:
        config["architecture"] = _section(config["architecture"], ARCHITECTURES[name], "architecture", problems)


def _together(config: dict, problems: list[str]) -> None:
    """What only several values together can get wrong."""
    labels, data = config["labels"], config["data"]
    expect = lambda good, field, expected, found: None if good else problems.append(f"{field}: expected {expected}, found {_shown(found)}")
    expect(labels[0] == "background", "labels[0]", "background", labels[0])
    expect(len(set(labels)) == len(labels), "labels", "labels that differ", labels)
    for cls, label in config["classes"].items():
        expect(label in labels[1:], f"classes.{cls}", f"one of {', '.join(labels[1:])}", label)
    for label in config["thresholds"]:
        expect(label in labels[1:], f"thresholds.{label}", f"one of {', '.join(labels[1:])}", label)
    missing = [label for label in labels[1:] if config["thresholds"] and label not in config["thresholds"]]
    expect(not missing, "thresholds", "a threshold for every label but background, or none at all", f"none for {', '.join(missing)}")
    expect(not set(data["folds"]) & set(data["held_out"]), "data.held_out", "folds that are not in data.folds", data["held_out"])
    expect(set(config["folds"]) <= set(data["folds"]), "folds", f"folds of data.folds {data['folds']}", config["folds"])
    expect(config["folds"] == [] or len(data["folds"]) > 1, "folds", "at least two data.folds to hold one out", data["folds"])
    if config["architecture"]["name"] == "ds_cnn":
        expect("optimiser" in config, "optimiser", "settings of the optimiser for ds_cnn", None)
    else:
        expect("committee" not in config, "committee", "no such setting for trees", config.get("committee"))
        expect(config["quantization"]["precision"] == "none", "quantization.precision", "none: trees have no int8", config["quantization"]["precision"])


def _shown(value) -> str:
    return "nothing" if value is None else repr(value)[:80]
