"""`python -m kajitori`: the command; how `up` starts the other processes, too, with its own interpreter."""

from kajitori.app.main import main

main()
