"""Pure decisions: no kopf, no kubernetes, no torch, no clock, no I/O."""
