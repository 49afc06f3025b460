"""The architectures a configuration may name. Each is a module with:

  CODE        modules whose text decides what a trained part is
  PRECISIONS  the forms its file is written in
  HOW         what it is, in words for the card
  stages(config) → names of the parts to train; those of one stage at once, a later stage may use the earlier
  prepare(clips, config, work, jobs): fills the cache by `jobs` processes, before parts are trained in parallel
  train_part(part, clips, config, seed, work, log, earlier) → what torch.save keeps
  build(saved, config) → ONNX, audio [batch, samples] → scores [batch, labels], from the parts of the last stage
  exact_nodes(model) → names of nodes that stay fp32"""

import importlib

from config import ARCHITECTURES


def named(name: str):
    assert name in ARCHITECTURES
    return importlib.import_module(name)
