"""What is evaluated; a suite is found by its entry point in the group ``hantei.suites``."""
