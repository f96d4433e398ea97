"""Looking for hyperparameters: the learning-rate finder and the sweep. This face is empty: optuna is slow to import."""
