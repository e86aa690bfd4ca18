"""python -m hantei_operator: the operator."""

from hantei_operator.main import main

main()
