"""Search of hyper-parameters, fair studies, and one table of all results."""
