"""Data: the shipped lists, and cleaning of name lists. This module only re-exports."""

from data.catalog import CATALOG, RELATIVES, DataSet, find
from data.names import MAX_LENGTH, MIN_NAMES, NameList, NameListError, Split, load_names, split_names

__all__ = [
    "CATALOG",
    "MAX_LENGTH",
    "MIN_NAMES",
    "RELATIVES",
    "DataSet",
    "NameList",
    "NameListError",
    "Split",
    "find",
    "load_names",
    "split_names",
]
