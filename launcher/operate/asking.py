"""A command as an async function in; it with its options, a gateway to ask and exit codes for errors, out."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from launcher.data_folder import DEFAULT, DataFolder
from launcher.errors import LauncherError
from launcher.operate.errors import Exit, Misused, NoGateway, NoSystem, exit_code_of, line_of
from launcher.operate.late import EXIT_CODES
from launcher.operate.saying import Said, say
from launcher.state import read_state
from shared.api import Answer, GatewayApi, Refusal, Unreachable

P = ParamSpec("P")
Work = Callable[Concatenate["Operator", P], Coroutine[Any, Any, Said]]

LONGEST_PAGE: Final = 200
"""What the gateway gives at a time."""

Data = Annotated[Path, typer.Option(help="The folder of the system that runs on this machine.")]
Url = Annotated[
    str | None,
    typer.Option(envvar="TRUNKLINE_URL", help="The gateway's address, in place of the one in --data."),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="TRUNKLINE_API_KEY",
        show_envvar=True,
        help="An API key, in place of the one in --data.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="What the API said, for programs.")]

_SHARED: Final = (
    ("data", Data, DEFAULT),
    ("url", Url, None),
    ("key", ApiKey, None),
    ("as_json", AsJson, False),
)


@dataclass(frozen=True, slots=True)
class Operator:
    """Who gives the orders: the gateway to ask, and how the answer is wanted."""

    api: GatewayApi
    as_json: bool

    async def get(self, path: str, **query: object) -> dict[str, Any]:
        """The document of a GET; parameters that are None are left out."""
        return self._document(await self.api.ask("GET", path, query=query))

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        """The document of a POST."""
        return self._document(await self.api.post(path, body))

    async def answer(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """An answer with its headers, whose names are written with `_` here."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.api.ask(method, path, body=body, headers=given)

    async def pages(
        self, path: str, limit: int, cursor: str | None = None, **query: object
    ) -> dict[str, Any]:
        """The first `limit` items, from as many pages as they take, as one page."""
        items: list[Any] = []
        while True:
            page = await self.get(path, **query, cursor=cursor, limit=min(limit - len(items), LONGEST_PAGE))
            items += items_of(page, self.api)
            cursor = page.get("next")
            if cursor is None or len(items) >= limit:
                return {"items": items, "next": cursor}

    def _document(self, answer: Answer) -> dict[str, Any]:
        if not isinstance(answer.body, dict):
            raise NoGateway(self.api.url)
        return answer.body


def items_of(document: dict[str, Any], api: GatewayApi) -> list[Any]:
    """The items of a page."""
    items = document.get("items")
    if not isinstance(items, list):
        raise NoGateway(api.url)
    return items


def group(help_line: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        help=help_line,
        epilog=EXIT_CODES,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def command(app: typer.Typer, name: str) -> Callable[[Work[P]], Work[P]]:
    """Make the function a command: its own parameters, then --data, --url, --key and --json.

    It is given an Operator first; a parameter that is a dataclass comes as options, one a field. What it
    returns is said; a refusal is one line and an exit code.
    """

    def declare(work: Work[P]) -> Work[P]:
        def run(*, data: Path, url: str | None, key: str | None, as_json: bool, **given: Any) -> None:
            for parameter, options in groups.items():
                given[parameter] = options(**{one.name: given.pop(one.name) for one in fields(options)})
            raise typer.Exit(ended(lambda: _said(work, at(data, url, key), as_json, given)))

        own = list(inspect.signature(work).parameters.values())[1:]
        groups: dict[str, Any] = {one.name: one.annotation for one in own if is_dataclass(one.annotation)}
        own = [part for one in own for part in _options(one)]
        shared = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, kind, default in _SHARED
        ]
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + shared
        run.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess] - what typer reads
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.__doc__ = work.__doc__
        app.command(name, epilog=EXIT_CODES)(run)
        return work

    return declare


def _options(parameter: inspect.Parameter) -> list[inspect.Parameter]:
    """The parameter; of a dataclass, its fields: options that several commands take together."""
    if not is_dataclass(parameter.annotation):
        return [parameter]
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type
        )
        for field in fields(parameter.annotation)
    ]


def ended(work: Callable[[], int]) -> int:
    """The exit code of what was done; an expected error is one line on stderr."""
    try:
        return work()
    except Refusal as refusal:
        why, code = line_of(refusal), exit_code_of(refusal)
    except Unreachable as error:
        why, code = str(error), Exit.NO_SYSTEM
    except LauncherError as error:
        why, code = str(error), error.exit_code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    typer.echo(f"trunkline: {why}", err=True)
    return code


def at(data: Path, url: str | None, key: str | None) -> GatewayApi:
    """The gateway that is meant. The folder's key goes to the folder's gateway alone."""
    folder = DataFolder.at(data)
    state = read_state(folder.state_file) if folder.holder() else None
    if url is None:
        if state is None or state.gateway is None:
            raise NoSystem(folder.path)
        url = state.gateway
    if not url.startswith(("http://", "https://")):
        raise Misused(f"--url {url}: must begin with http:// or https://")
    if key is None and state is not None and state.gateway == url.rstrip("/"):
        key = state.api_key
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise Misused("the API key has characters that no key has: see --key and TRUNKLINE_API_KEY")
    return GatewayApi(url, key, agent="trunkline-cli")


def _said(work: Callable[..., Coroutine[Any, Any, Said]], api: GatewayApi, as_json: bool, given: Any) -> int:  # noqa: FBT001
    async def ask() -> Said:
        async with api:
            return await work(Operator(api, as_json), **given)

    said = asyncio.run(ask())
    say(said, as_json=as_json)
    return said.code
