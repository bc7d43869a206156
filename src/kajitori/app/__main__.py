"""`python -m kajitori.app`: how `up` starts the other processes, with the interpreter it runs under itself."""

from kajitori.app.main import main

main()
