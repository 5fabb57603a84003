"""Reach a Linux board by OpenSSH: `ssh://[USER@]HOST[:PORT]`.

Keys, hosts and jumps are those of the user's own configuration.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil

from .remote import START, Remote
from .transport import DeviceError

COMMAND = "EDGEPRESS_SSH"
"""In the environment: the command in place of `ssh`, such as `ssh -F my_config`."""
OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ForwardX11": "no",
    "ForwardAgent": "no",
}
"""Ask nothing, and notice within 15 s that the other side has gone."""
REASONS = {
    r"Permission denied": "`ssh-copy-id {name}` puts your key there; passwords are not asked for",
    r"Host key verification failed": "connect once by hand: `ssh {name}`, and look at the key it shows",
    r"Connection refused": "is its ssh server running? `sudo systemctl enable --now ssh` there",
    r"Could not resolve|Name or service not known": "is the name right, and the device on this network?",
    r"timed out|No route to host|Network is unreachable": "is it on, and in this network?",
    r"(python\S*|env): .*(not found|No such file)|command not found|No such file or directory": (
        "install Python 3.8 or newer there, or name its path: `python: /path/to/python3` in the target"
    ),
}
"""Errors of ssh or of the shell there, and what to do about each."""


def connect(address: str, python: str) -> Remote:
    """Connect to a board by ssh. Raises: DeviceError where there is no ssh."""
    program, *more = shlex.split(os.environ.get(COMMAND, "ssh"))
    if not shutil.which(program):
        raise DeviceError(f"there is no `{program}` on this machine", "install OpenSSH's client")
    host, _, port = address.partition(":")
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    script = f"exec {shlex.quote(python)} -c {shlex.quote(START)} edgepress"
    command = [program, *more, "-T", *options, *(["-p", port] if port else []), "--", host, script]

    def why(errors: str) -> DeviceError | None:
        for pattern, help in REASONS.items():
            if match := re.search(f".*({pattern}).*", errors):
                line = match[0].strip()[:200]
                return DeviceError(f"ssh://{address}: {line}", help.format(name=host + (f" -p {port}" if port else "")))
        return None

    return Remote(command, f"ssh://{address}", why)
