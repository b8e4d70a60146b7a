"""The Optuna study of a sweep: what is proposed, what is told, on a journal. The only place that imports optuna."""
