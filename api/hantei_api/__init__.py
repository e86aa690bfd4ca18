"""The contracts of Hantei: the resources, the reasons, the evaluator's task and its result.

Pydantic models and constants only. The CRDs in ``crds/`` are generated from here (``make crds``).
"""
