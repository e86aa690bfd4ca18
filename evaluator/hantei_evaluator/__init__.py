"""The evaluator: evaluates one checkpoint, in a pod or on a laptop."""
