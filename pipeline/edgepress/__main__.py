"""`python -m edgepress` is `edgepress`, but for a folder that has an `edgepress` of its own: Python takes that one."""

import os
import signal
import sys


def main() -> None:
    """Run the command line: the entry point of the installed command. Ctrl-C ends it quietly from the first import."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, frame: os._exit(130))
    from .commands.supervise import main as supervise

    supervise()


if __name__ == "__main__":
    # Python looks in the working folder first, where a `json.py` or a `pathlib.py` of the user's may lie.
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != home:
        del sys.path[0]
    main()
