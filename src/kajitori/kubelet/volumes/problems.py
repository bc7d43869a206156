"""Why a volume cannot be set up."""


class VolumeProblem(Exception):
    """`volume` is the pod's name for it; the message is the one of the FailedMount event."""

    def __init__(self, volume: str, message: str) -> None:
        super().__init__(message)
        self.volume = volume

    def __str__(self) -> str:
        return f'MountVolume.SetUp failed for volume "{self.volume}" : {self.args[0]}'
