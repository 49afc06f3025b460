"""
Judges event lists by sed_eval. Reads one JSON object a line, {"labels": [...], "files": [{"reference": [[onset, label], ...],
"estimated": ...}, ...]}, and writes a line for each: precision, recall and F measure overall and by label, null for NaN.

sed_eval takes its lists, and nothing else, from dcase_util, which would bring half of Python's audio world with it. The few things it
asks of such a list are here instead.
"""

import json
import math
import sys
import types


class MetaDataContainer(list):
    @property
    def unique_files(self):
        return []

    @property
    def max_offset(self):
        return max((item["offset"] for item in self), default=0)

    def filter(self, event_label):
        return MetaDataContainer(item for item in self if item["event_label"] == event_label)


class FancyStringifier:
    pass


dcase_util = types.ModuleType("dcase_util")
dcase_util.containers = types.SimpleNamespace(MetaDataContainer=MetaDataContainer)
dcase_util.ui = types.SimpleNamespace(FancyStringifier=FancyStringifier)
sys.modules["dcase_util"] = dcase_util

from sed_eval.sound_event import EventBasedMetrics  # noqa: E402


def event_list(events):
    items = ({"onset": onset, "offset": onset + 0.5, "event_label": label} for onset, label in events)
    return MetaDataContainer(items)


def shares(measures):
    values = (measures["precision"], measures["recall"], measures["f_measure"])
    return [None if math.isnan(value) else float(value) for value in values]


for line in sys.stdin:
    case = json.loads(line)
    metrics = EventBasedMetrics(
        event_label_list=case["labels"],
        evaluate_onset=True,
        evaluate_offset=False,
        t_collar=case["collar"],
        event_matching_type="optimal",
    )
    for file in case["files"]:
        metrics.evaluate(event_list(file["reference"]), event_list(file["estimated"]))
    print(
        json.dumps(
            {
                "overall": shares(metrics.overall_f_measure()),
                "labels": {label: shares(metrics.class_wise_f_measure(label)) for label in case["labels"]},
            }
        )
    )
