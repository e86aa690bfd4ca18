"""Keisei's own files: its ratings, its pool of opponents, its results and its configuration.

The formats are those of https://github.com/tachyon-beep/keisei at commit 735a4f4. Nothing here needs torch.
"""
