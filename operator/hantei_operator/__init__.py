"""The operator: watches EvaluationRuns and runs each as a Job."""
