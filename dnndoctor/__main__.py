"""``python -m dnndoctor``."""

from dnndoctor.cli import main

main()
