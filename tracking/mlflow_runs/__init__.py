"""What MLflow is shown: one run a sweep, one child run a trial. The only place that imports mlflow."""
