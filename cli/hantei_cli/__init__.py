"""The command line: hantei."""
