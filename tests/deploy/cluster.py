"""The part of a Kubernetes API that `kubectl apply` speaks to: what there is, a check of what comes, and its keeping.

An object is taken when it is new and the published schema of this version, read strictly, has nothing against it. There
is no kubelet behind it: nothing is run.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import kubernetes_validate
import yaml

VERSION = "1.37"
NAMESPACE = "default"
KINDS = {  # by the plural that stands in a path: the group's version and the kind
    "configmaps": ("v1", "ConfigMap"),
    "services": ("v1", "Service"),
    "secrets": ("v1", "Secret"),
    "deployments": ("apps/v1", "Deployment"),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy"),
}
VERBS = ["create", "get", "list", "patch", "update"]

Document = dict[str, Any]


def root_of(version: str) -> str:
    """Return where the API of a version is."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def patch_of(version: str, kind: str) -> Document:
    """Describe the request by which a client learns that it may leave the checking of fields to us."""
    group, _, number = version.rpartition("/")
    named = {"group": group, "version": number, "kind": kind}
    asked = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    return {"patch": {"parameters": asked, "x-kubernetes-group-version-kind": named, "responses": {}}}


def discovery() -> dict[str, Document]:
    """Return the pages that say what there is, by path."""
    groups = [version for version in dict.fromkeys(version for version, _ in KINDS.values()) if "/" in version]
    named = [{"groupVersion": each, "version": each.partition("/")[2]} for each in groups]
    pages: dict[str, Document] = {
        "/version": {"major": "1", "minor": VERSION.partition(".")[2], "gitVersion": f"v{VERSION}.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": each["groupVersion"].partition("/")[0], "versions": [each], "preferredVersion": each}
                for each in named
            ],
        },
        "/openapi/v3": {"paths": {}},
    }
    for plural, (version, kind) in KINDS.items():
        root = root_of(version)
        pages["/openapi/v3"]["paths"][root[1:]] = {"serverRelativeURL": f"/openapi/v3{root}"}
        described = pages.setdefault(f"/openapi/v3{root}", {"openapi": "3.0.0", "paths": {}})
        described["paths"][f"{root}/namespaces/{{namespace}}/{plural}/{{name}}"] = patch_of(version, kind)
        made = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": []}
        page = pages.setdefault(root, made)
        page["resources"].append({"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": VERBS})
    return pages


class Cluster:
    """Used by `with`; `objects` is what it has been given, by kind and name."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Document] = {}
        pages = discovery()
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                if path in pages:
                    self.answer(200, pages[path])
                else:
                    *_, plural, name = path.split("/")
                    kept = cluster.objects.get((KINDS.get(plural, ("", ""))[1], name))
                    self.answer(200, kept) if kept else self.refuse(404, "NotFound", f"{plural} {name} is not here")

            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                place = f"{root_of(document['apiVersion'])}/namespaces/{NAMESPACE}/"
                path = urlsplit(self.path).path
                if KINDS.get(path.removeprefix(place)) != (document["apiVersion"], document["kind"]):
                    self.refuse(404, "NotFound", f"{document['kind']} does not belong to {path}")
                    return
                try:
                    kubernetes_validate.validate(document, VERSION, strict=True)
                except kubernetes_validate.ValidationError as error:
                    self.refuse(422, "Invalid", str(error).splitlines()[0])
                    return
                cluster.objects[document["kind"], document["metadata"]["name"]] = document
                self.answer(201, document)

            def refuse(self, status: int, reason: str, message: str) -> None:
                said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status}
                self.answer(status, {**said, "reason": reason, "message": message})

            def answer(self, status: int, document: Document) -> None:
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def write_configuration(self, file: Path) -> Path:
        """Write the configuration by which kubectl finds it."""
        server = f"http://127.0.0.1:{self._server.server_address[1]}"
        context = {"cluster": "tests", "user": "tests", "namespace": NAMESPACE}
        written = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": {"server": server}}],
            "users": [{"name": "tests", "user": {}}],
            "contexts": [{"name": "tests", "context": context}],
        }
        file.write_text(yaml.safe_dump(written))
        return file

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
