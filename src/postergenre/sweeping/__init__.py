"""Many trainings, one question: which settings are best? Optuna around training."""
