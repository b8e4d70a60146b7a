"""A sweep in MLflow: one run for the sweep, one child run for each trial. The only package that imports mlflow."""
