"""What is remembered of a sweep: records, fronts, plots, MLflow runs. Imports pruning; alone imports mlflow."""
