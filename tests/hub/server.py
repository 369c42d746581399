"""A small server that speaks the Hub's HTTP API, for the client as it is: `HF_ENDPOINT` points to it.

It knows what pushing and pulling need: create, preupload, LFS batch and PUT, commit, info, tree, paths-info, resolve,
delete.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_local_test"
USER = "somebody"
#: Uploads to repositories of such a name break off.
BROKEN = "-broken"
LFS_SUFFIXES = (".safetensors", ".parquet", ".arrow")

_API = re.compile(
    r"/api/(?P<kind>model|dataset)s/(?P<id>[^/]+/[^/]+)(?:/(?P<verb>[a-z-]+)/(?P<rev>[^/]+)(?P<rest>/.*)?)?$"
)
_RESOLVE = re.compile(r"/(?P<dataset>datasets/)?(?P<id>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)$")
_LFS_BATCH = re.compile(r"/(?:datasets/)?(?P<id>[^/]+/[^/]+)\.git/info/lfs/objects/batch$")


@dataclass
class Repo:
    """A repository: its commits, oldest first, each with all files."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def files(self, revision: str) -> dict[str, bytes] | None:
        """Files at a branch or commit; None if there is no such revision."""
        return self.commits.get(self.sha(revision))

    def sha(self, revision: str) -> str:
        """The commit of a revision."""
        return next(reversed(self.commits)) if revision == "main" else revision

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit; returns its hash."""
        listing = "".join(f"{path}:{hashlib.sha1(data).hexdigest()}" for path, data in sorted(files.items()))
        sha = hashlib.sha1(f"{len(self.commits)}:{listing}".encode()).hexdigest()
        self.commits[sha] = files
        return sha


class LocalHub(ThreadingHTTPServer):
    """The server; use it as a context manager.

    Attributes:
        repos: By (kind, id).
        objects: Uploaded LFS objects by hash.
        log: Method and path of every request.
        is_damaging: Whether what is downloaded differs from what was uploaded.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.is_stopped = False
        self.is_damaging = False
        self.log: list[str] = []

    @property
    def url(self) -> str:
        """What `HF_ENDPOINT` is set to."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> LocalHub:
        """Serve in a thread."""
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, once or again."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: LocalHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if self.server.is_stopped:  # connections that were kept alive end, too
            return self._hang_up()
        self.server.log.append(f"{self.command} {path}")
        for prefix, handle in (
            ("/api/validate-yaml", self._validate),
            ("/api/whoami-v2", self._whoami),
            ("/api/repos/create", self._create),
            ("/api/repos/delete", self._delete),
            ("/lfs/", self._put),
            ("/broken-lfs/", self._break_off),
            ("/stop", self._stop),
        ):
            if path.startswith(prefix):
                return handle(path)
        if found := _LFS_BATCH.match(path):
            return self._lfs_batch(found)
        if found := _API.match(path):
            return self._api(found, parse_qs(parts.query))
        if found := _RESOLVE.match(path):
            return self._resolve(found)
        return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "no such page")

    # -- answers

    def _answer(self, value: Any, status: int = 200, **headers: str) -> None:
        self._send(json.dumps(value).encode(), status, {"Content-Type": "application/json", **headers})

    def _fail(self, status: int, code: str, message: str) -> None:
        self._send(json.dumps({"error": message}).encode(), status, {"X-Error-Code": code, "X-Error-Message": message})

    def _send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    @property
    def _is_somebody(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    # -- accounts and uploads

    def _whoami(self, _: str) -> None:
        if not self._is_somebody:
            return self._fail(HTTPStatus.UNAUTHORIZED, "Unauthorized", "invalid credentials")
        return self._answer({"type": "user", "name": USER, "orgs": [], "auth": {"accessToken": {"role": "write"}}})

    def _validate(self, _: str) -> None:
        self._body()
        self._answer({"warnings": [], "errors": []})

    def _create(self, _: str) -> None:
        wanted = json.loads(self._body())
        repo_id = f"{wanted.get('organization') or USER}/{wanted['name']}"
        if not self._is_somebody:
            return self._fail(HTTPStatus.UNAUTHORIZED, "Unauthorized", "invalid credentials")
        if not repo_id.startswith(f"{USER}/"):
            return self._fail(HTTPStatus.FORBIDDEN, "Forbidden", f"you don't have the rights to create {repo_id}")
        key = (wanted.get("type", "model"), repo_id)
        url = f"{self.server.url}/{'datasets/' if key[0] == 'dataset' else ''}{repo_id}"
        if key in self.server.repos:
            return self._answer({"error": "You already created this repo", "url": url}, HTTPStatus.CONFLICT)
        repo = self.server.repos[key] = Repo(wanted.get("visibility") == "private")
        repo.commit({".gitattributes": b""})
        return self._answer({"url": url, "name": repo_id, "id": repo_id})

    def _delete(self, _: str) -> None:
        wanted = json.loads(self._body())
        key = (wanted.get("type", "model"), f"{wanted.get('organization') or USER}/{wanted['name']}")
        if not self._is_somebody:
            return self._fail(HTTPStatus.UNAUTHORIZED, "Unauthorized", "invalid credentials")
        if self.server.repos.pop(key, None) is None:
            return self._fail(HTTPStatus.NOT_FOUND, "RepoNotFound", "no such repository")
        return self._answer({})

    def _lfs_batch(self, found: re.Match[str]) -> None:
        objects = []
        for wanted in json.loads(self._body())["objects"]:
            oid = wanted["oid"]
            folder = "broken-lfs" if found["id"].endswith(BROKEN) else "lfs"
            actions = {} if oid in self.server.objects else {"upload": {"href": f"{self.server.url}/{folder}/{oid}"}}
            objects.append({**wanted, "authenticated": True, **({"actions": actions} if actions else {})})
        self._answer({"transfer": "basic", "objects": objects})

    def _put(self, path: str) -> None:
        data = self._body()
        oid = path.removeprefix("/lfs/")
        assert hashlib.sha256(data).hexdigest() == oid, "an upload arrived damaged"
        self.server.objects[oid] = data
        self._answer({})

    def _break_off(self, _: str) -> None:
        """Lose the connection in the middle of an upload."""
        self.rfile.read(16)
        self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _stop(self, _: str) -> None:
        self._answer({})
        self.server.is_stopped = True
        Thread(target=self.server.shutdown).start()
        self.server.socket.close()

    # -- repositories

    def _repo(self, kind: str, repo_id: str) -> Repo | None:
        repo = self.server.repos.get((kind, repo_id))
        if repo is None or (repo.private and not self._is_somebody):
            self._fail(
                HTTPStatus.NOT_FOUND if self._is_somebody else HTTPStatus.UNAUTHORIZED,
                "RepoNotFound",
                "no such repository",
            )
            return None
        return repo

    def _api(self, found: re.Match[str], query: dict[str, list[str]]) -> None:
        body = self._body() if self.command == "POST" else b""
        repo = self._repo(found["kind"], found["id"])
        if repo is None:
            return None
        revision, verb = found["rev"] or "main", found["verb"] or "revision"
        files = repo.files(revision)
        if files is None:
            return self._fail(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"no revision {revision}")
        if verb == "preupload":
            return self._answer({"files": [self._upload_mode(file) for file in json.loads(body)["files"]]})
        if verb == "commit":
            return self._commit(found["id"], repo, body)
        if verb == "tree":
            return self._answer([_entry(path, data) for path, data in sorted(files.items())])
        if verb == "paths-info":
            wanted = json.loads(body)["paths"] if body.startswith(b"{") else parse_qs(body.decode())["paths"]
            return self._answer([_entry(path, files[path]) for path in wanted if path in files])
        siblings = [{"rfilename": path} for path in sorted(files)]
        return self._answer(
            {
                "_id": "1",
                "id": found["id"],
                "sha": repo.sha(revision),
                "private": repo.private,
                "siblings": siblings,
                "tags": [],
                "downloads": 0,
                "likes": 0,
            }
        )

    def _upload_mode(self, file: dict[str, Any]) -> dict[str, Any]:
        mode = "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular"
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}

    def _commit(self, repo_id: str, repo: Repo, body: bytes) -> None:
        if not self._is_somebody:
            return self._fail(HTTPStatus.UNAUTHORIZED, "Unauthorized", "invalid credentials")
        files = dict(repo.files("main") or {})
        for line in filter(None, body.split(b"\n")):
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
            elif item["key"] == "deletedFile":
                del files[value["path"]]
        sha = repo.commit(files)
        return self._answer(
            {
                "success": True,
                "commitOid": sha,
                "commitUrl": f"{self.server.url}/{repo_id}/commit/{sha}",
                "hookOutput": "",
            }
        )

    def _resolve(self, found: re.Match[str]) -> None:
        repo = self._repo("dataset" if found["dataset"] else "model", found["id"])
        if repo is None:
            return None
        files = repo.files(found["rev"])
        if files is None or found["path"] not in files:
            return self._fail(HTTPStatus.NOT_FOUND, "EntryNotFound", "no such file")
        data = files[found["path"]]
        if self.server.is_damaging and data:
            data = data[:-1] + bytes([data[-1] ^ 1])
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        return self._send(data, 200, {"X-Repo-Commit": repo.sha(found["rev"]), "ETag": etag, "Accept-Ranges": "bytes"})


def _entry(path: str, data: bytes) -> dict[str, Any]:
    """A file as the tree lists it."""
    return {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
