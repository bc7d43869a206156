"""The console script: hands the commands what carries them out, each importing only its own part."""

import sys
from collections.abc import Sequence
from pathlib import Path

from kajitori.cli import main as cli
from kajitori.cli.interface import PartOptions, UpOptions


class Kajitori:
    """The `Application` behind the commands."""

    def up(self, options: UpOptions) -> None:
        from kajitori.app.up import up

        up(options)

    def run_part(self, part: str, options: PartOptions) -> None:
        from kajitori.app.parts import run_part

        run_part(part, options)

    def down(self, data_dir: Path, purge: bool) -> None:
        from kajitori.app.down import down

        down(data_dir, purge)

    def status(self, data_dir: Path, output: str) -> int:
        from kajitori.app.status import show_status

        return show_status(data_dir, output)

    def doctor(self, data_dir: Path) -> int:
        from kajitori.app.doctor import show_diagnosis

        return show_diagnosis(data_dir)

    def kubectl(self, data_dir: Path, arguments: Sequence[str]) -> None:
        from kajitori.app.kubectl import replace_with_kubectl

        replace_with_kubectl(data_dir, arguments)

    def image_build(self, definition: Path, output: Path | None) -> Path:
        from kajitori.app.image.build import build_image

        return build_image(definition, output)

    def image_load(self, data_dir: Path, archives: Sequence[Path]) -> None:
        from kajitori.app.image.load import load_images

        load_images(data_dir, archives)


def main() -> None:
    sys.exit(cli.run(Kajitori()))
