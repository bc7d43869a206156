"""The scheduler's configuration file: which pods it takes, and with which plugins."""

from pathlib import Path

from kajitori.apiserver.configuration import BadConfiguration, Section
from kajitori.cli.interface import CommandError
from kajitori.scheduler.configuration import ConfigurationError, profiles_of
from kajitori.scheduler.decide import Profile
from kajitori.scheduler.view import NAME


def read_profile(path: Path | None) -> tuple[str, Profile]:
    """The scheduler's name and its plugins; upstream's defaults without a file. Raises CommandError."""
    if path is None:
        return NAME, Profile()
    try:
        top = Section.load(path, "KubeSchedulerConfiguration", "kubescheduler.config.k8s.io", ("v1",))
        list(top.only("apiVersion", "kind", "profiles").sections("profiles"))  # raises when they are none
        profiles = profiles_of(top.document())
    except BadConfiguration as error:
        raise CommandError(str(error)) from error
    except ConfigurationError as error:
        raise CommandError(f"{path}: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CommandError(
            f"{path}: profiles: a field is of the wrong type or missing ({error}): see its page"
        ) from error
    if len(profiles) > 1:
        names = ", ".join(profiles)
        raise CommandError(
            f"{path}: has {len(profiles)} profiles ({names}): a scheduler has one here; "
            "run `kajitori scheduler --config` for each"
        )
    ((name, profile),) = profiles.items()
    return name, profile
