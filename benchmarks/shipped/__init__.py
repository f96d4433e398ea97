"""The quality of the shipped models: splits, styles, and names of later years."""
