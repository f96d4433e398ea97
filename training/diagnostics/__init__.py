"""Diagnostics of a network during training: statistics, plots and explanations."""
