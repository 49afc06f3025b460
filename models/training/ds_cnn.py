"""The architecture `ds_cnn`: networks on mel powers, trained by core.py and written as one graph by export.py."""

from core import CODE, prepare, stages, train_part
from export import build, exact_nodes

PRECISIONS = ("fp32", "int8")
HOW = "convolutional networks on the logarithm of level-normalised mel powers"

__all__ = ["CODE", "HOW", "PRECISIONS", "build", "exact_nodes", "prepare", "stages", "train_part"]
