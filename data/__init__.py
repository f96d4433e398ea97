"""Data: the shipped lists, and cleaning of name lists. This module only re-exports."""

from data.catalog import CATALOG, HUMAN_2018, LATER_NAMES, RELATIVES, DataSet, find
from data.errors import NameListError
from data.names import MAX_LENGTH, MIN_NAMES, NameList, Split, StyleRows, load_names, read_names, split_names
from data.shapes import ReadOptions

__all__ = [
    "CATALOG",
    "HUMAN_2018",
    "LATER_NAMES",
    "MAX_LENGTH",
    "MIN_NAMES",
    "RELATIVES",
    "DataSet",
    "NameList",
    "NameListError",
    "ReadOptions",
    "Split",
    "StyleRows",
    "find",
    "load_names",
    "read_names",
    "split_names",
]
