"""What is remembered of a sweep: records, fronts, plots, MLflow runs. Imports pruning; the only place that imports mlflow."""
