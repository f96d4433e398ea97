"""Hyperparameter search: learning-rate finder and sweep. Imports nothing, because optuna is slow."""
