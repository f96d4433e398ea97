"""Data: the shipped lists, and cleaning of name lists. This module only re-exports."""

from data.catalog import CATALOG, RELATIVES, DataSet, find
from data.errors import NameListError
from data.names import MAX_LENGTH, MIN_NAMES, NameList, Split, load_names, read_names, split_names
from data.shapes import ReadOptions

__all__ = [
    "CATALOG",
    "MAX_LENGTH",
    "MIN_NAMES",
    "RELATIVES",
    "DataSet",
    "NameList",
    "NameListError",
    "ReadOptions",
    "Split",
    "find",
    "load_names",
    "read_names",
    "split_names",
]
