"""``python -m pipeline.credly.emulator``: the emulator without Django; its command shares the arguments."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from pipeline.credly.emulator.server import run
from pipeline.credly.emulator.specification import SpecificationError
from pipeline.credly.emulator.world import EMPTY_SEED

DESCRIPTION = (
    "Run a local look-alike of the Credly sandbox, in memory: for trying the system and for tests."
    " It has no security of its own, so let only this machine reach it."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the emulator's arguments."""
    parser.add_argument("--port", type=_port, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--latency", type=_seconds, default=0.0, help="seconds that each API call takes (default: 0)")
    parser.add_argument(
        "--seed-file",
        type=Path,
        metavar="FILE",
        help='JSON to begin with: {"organizations": [{"id", "name", "webhook_url",'
        ' "tokens": [{"token"}], "templates": [{"id", "name", "state"}]}]}',
    )
    parser.add_argument("--organization", metavar="UUID", help="begin with this organization; needs --api-key")
    parser.add_argument("--api-key", metavar="KEY", help="authorization token of that organization")
    parser.add_argument(
        "--template",
        metavar="UUID:NAME",
        action="append",
        default=[],
        help="active badge template of that organization; may be repeated",
    )


def run_with(options: dict[str, Any]) -> str | None:
    """Run with the parsed arguments until told to stop; the error in one line, or None."""
    try:
        run(
            options["host"],
            options["port"],
            latency=options["latency"],
            seed=_seed(options),
            ready=_announce,
        )
    except SpecificationError as error:
        return f"bad seed: {error}"
    except OSError as error:
        return f"cannot start: {error}"
    return None


def main() -> int:
    """Run from the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.credly.emulator", description=DESCRIPTION)
    add_arguments(parser)
    if error := run_with(vars(parser.parse_args())):
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _announce(base_url: str) -> None:
    sys.stdout.write(f"Credly emulator on {base_url}/v1/ (control: {base_url}/control/)\n")
    sys.stdout.flush()


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def _seed(options: dict[str, Any]) -> dict[str, Any]:
    organization, key, templates = (options[name] for name in ("organization", "api_key", "template"))
    if options["seed_file"]:
        if organization or key or templates:
            raise SpecificationError("give either --seed-file or --organization, --api-key and --template")
        return _read(options["seed_file"])
    if bool(organization) != bool(key) or (templates and not organization):
        raise SpecificationError("--organization and --api-key belong together, --template to both")
    if not organization:
        return EMPTY_SEED
    return {
        "organizations": [
            {
                "id": organization,
                "name": "Example Academy",
                "tokens": [{"token": key}],
                "templates": [_template(text) for text in templates],
            }
        ]
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        seed = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise SpecificationError(f"{file} is not JSON") from None
    if not isinstance(seed, dict):
        raise SpecificationError(f"{file} holds no JSON object")
    return seed


def _template(text: str) -> dict[str, str]:
    identifier, colon, name = text.partition(":")
    if not (colon and name):
        raise SpecificationError(f"--template {text!r} is not UUID:NAME")
    return {"id": identifier, "name": name}


if __name__ == "__main__":
    sys.exit(main())
