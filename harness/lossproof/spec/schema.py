"""The JSON Schema of a spec, from which editors complete. `python -m lossproof.spec.schema` prints it."""

from __future__ import annotations

import json
from typing import Any

from lossproof.spec.model import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """The JSON Schema of a spec's YAML, as data."""
    found = Spec.model_json_schema(mode="validation")
    laws = found["properties"]["laws"]
    laws["additionalProperties"] = {"anyOf": [{"type": "string"}, laws["additionalProperties"]]}
    return {"$schema": DIALECT, **found, "title": "lossproof spec"}


def text() -> str:
    """The schema as the file specs/spec.schema.json holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
