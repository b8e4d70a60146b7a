"""Records of trials, the front of a sweep, their charts, their MLflow runs. Imports pruning; alone imports mlflow."""
