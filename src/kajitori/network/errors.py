"""What can go wrong when the host's network is changed.

NetworkError
  CommandFailed      `ip`, `nft` or another tool refused; carries what it said
  CommandMissing     the tool is not installed
  AddressTaken       something else listens where we must
"""


class NetworkError(Exception):
    """Names the thing, the reason and the remedy."""


class CommandMissing(NetworkError):
    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed; run: apt-get install {package}")


class CommandFailed(NetworkError):
    def __init__(self, argv: tuple[str, ...], code: int, stderr: str) -> None:
        super().__init__(f"{' '.join(argv)} ended with {code}: {stderr.strip() or 'no message'}")
        self.argv = argv
        self.code = code
        self.stderr = stderr


class AddressTaken(NetworkError):
    def __init__(self, what: str, address: str, port: int, reason: str) -> None:
        super().__init__(
            f"{what} cannot listen on {address}:{port}: {reason}; stop what listens there (ss -lnp 'sport = :{port}')"
            " or choose another port"
        )
