"""kopf handlers: they wake a key, and decide nothing."""
