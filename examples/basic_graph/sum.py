"""A job in Python. It produces sum/NAME_NAME..., a file with the sum of the numbers of these names."""

import json
import os
import sys
from pathlib import Path

_DATA = Path(os.environ.get("BASIC_GRAPH_DATA", ".databuild/data/basic_graph"))


def config(refs: list[str]) -> dict[str, object]:
    """Returns one configuration per ref. Its inputs are the numbers of the names, which the graph builds first."""
    return {"configs": [_config_of(ref) for ref in refs]}


def _config_of(ref: str) -> dict[str, object]:
    names = ref.removeprefix("sum/").split("_")
    if not all(names):
        raise SystemExit(f"{ref}: a name is empty; write names as in sum/pippin_salem_sadie")
    return {
        "outputs": [{"str": ref}],
        "inputs": [
            {"dep_type_code": "MATERIALIZE", "partition_ref": {"str": f"generated_number/{name}"}}
            for name in dict.fromkeys(names)
        ],
        "args": names,
        "env": {},
    }


def execute(names: list[str]) -> None:
    numbers = [int((_DATA / "generated_number" / name).read_text()) for name in names]
    output = _DATA / "sum" / "_".join(names)
    output.parent.mkdir(parents=True, exist_ok=True)
    # Write a temporary file and rename it, so that the partition is complete or absent.
    unfinished = output.with_suffix(".part")
    unfinished.write_text(f"{sum(numbers)}\n")
    unfinished.replace(output)
    print(f"{' + '.join(map(str, numbers))} = {sum(numbers)}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["config", *refs]:
            print(json.dumps(config(refs)))
        case ["exec", *names]:
            execute(names)
        case _:
            raise SystemExit(f"usage: {sys.argv[0]} config REF... | exec NAME...")
