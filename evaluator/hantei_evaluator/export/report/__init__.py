"""``hantei report``: one self-contained HTML page about one evaluation, or about several checkpoints of a training."""
