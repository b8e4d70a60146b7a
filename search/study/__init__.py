"""The Optuna study of a sweep, kept in a journal: proposals, and what became of them. Only this imports optuna."""
