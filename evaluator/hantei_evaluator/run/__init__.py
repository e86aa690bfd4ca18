"""The loop round a suite: deadline, progress, resources, results."""
