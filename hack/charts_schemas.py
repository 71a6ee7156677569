#!/usr/bin/env python3
"""Writes the JSON schemas of what the API server of KUBECONFIG serves, for kubeconform: one file for each kind that
the manifests have. Closed, so that a field that nobody knows is refused.

    charts_schemas.py FOLDER MANIFEST...
"""

import json
import pathlib
import re
import subprocess
import sys


def get(path):
    return json.loads(subprocess.run(["kubectl", "get", "--raw", path], check=True, capture_output=True).stdout)


def close(schema):
    """Lets no further properties in, where the API server would prune them."""
    if not isinstance(schema, dict):
        return
    for below in [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]:
        close(below)
    if "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = bool(schema.get("x-kubernetes-preserve-unknown-fields"))


def main(folder, manifests):
    wanted = set()
    for manifest in manifests:
        for part in re.split(r"^---", pathlib.Path(manifest).read_text(), flags=re.M):
            found = {key: re.search(rf"^{key}: (\S+)", part, flags=re.M) for key in ("apiVersion", "kind")}
            if all(found.values()):
                wanted.add((found["apiVersion"][1], found["kind"][1]))
    served = get("/openapi/v3")["paths"]
    for version in sorted({version for version, _ in wanted}):
        path = f"apis/{version}" if "/" in version else f"api/{version}"
        components = get(served[path]["serverRelativeURL"])["components"]
        for name, schema in components["schemas"].items():
            close(schema)
        for name, schema in components["schemas"].items():
            for kind in schema.get("x-kubernetes-group-version-kind", []):
                group = kind["group"]
                if (version, kind["kind"]) in wanted and version == (f"{group}/" if group else "") + kind["version"]:
                    file = "-".join(filter(None, [kind["kind"].lower(), group, kind["version"]])) + ".json"
                    text = json.dumps({"$ref": f"#/components/schemas/{name}", "components": components})
                    (folder / file).write_text(text)


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    main(pathlib.Path(sys.argv[1]), sys.argv[2:])
