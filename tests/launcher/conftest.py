"""Systems of stand-in services, each in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from launching import ELSEWHERE, ROOT, Cli

from launcher.services import SERVICES, Role


@pytest.fixture(scope="session")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages that stand before the real services: gateway, email and monitor run, no others do."""
    folder = tmp_path_factory.mktemp("standins")
    for service in SERVICES:
        package = folder / service.module
        package.mkdir()
        (package / "__init__.py").touch()
        if service.name in {"gateway", "email", "monitor"}:
            call = f"main({service.name!r}, has_port={service.role is not Role.WORKER})"
            (package / "__main__.py").write_text(f"from standin import main\n\n{call}\n")
    return folder


@contextmanager
def _systems(folder: Path, standins: Path) -> Generator[Callable[..., Cli]]:
    made: list[Cli] = []

    def make(name: str = "data", **extra: str) -> Cli:
        stops = folder / f"{name}.stops"
        path = os.pathsep.join([str(standins), str(Path(__file__).parent), str(ROOT)])
        known = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
        environment = known | {"PYTHONPATH": path, "STANDIN_STOPS": str(stops)} | extra
        made.append(Cli(folder / name, environment, stops))
        return made[-1]

    yield make
    for cli in made:
        cli.stop()


@pytest.fixture
def make_cli(tmp_path: Path, standins: Path) -> Iterator[Callable[..., Cli]]:
    """Systems side by side: a name gives each its folder."""
    with _systems(tmp_path, standins) as make:
        yield make


@pytest.fixture
def cli(make_cli: Callable[..., Cli]) -> Cli:
    """A system without servers of its own, not started."""
    return make_cli(**ELSEWHERE)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, standins: Path) -> Iterator[Cli]:
    """A system without servers that runs for all tests of a file, for those that only look."""
    with _systems(tmp_path_factory.mktemp("running"), standins) as make:
        cli = make(**ELSEWHERE)
        cli.up(LEASE="5", LOG_FORMAT="text", PORT="9")
        yield cli


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, standins: Path) -> Iterator[Cli]:
    """A system with servers of its own that runs for all tests of a file."""
    with _systems(tmp_path_factory.mktemp("whole"), standins) as make:
        cli = make()
        cli.up()
        yield cli
