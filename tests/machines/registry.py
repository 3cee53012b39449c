"""The part of an image registry that a pull needs, as a mirror of the public one: every name and
tag is one image with one empty layer. Standard library only.

    python registry.py 5000
"""

import gzip
import hashlib
import io
import json
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _described(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(data), "digest": _digest(data)}


def image() -> tuple[bytes, dict[str, bytes]]:
    """(the manifest, every blob by its digest)"""
    archive = io.BytesIO()
    tarfile.open(fileobj=archive, mode="w").close()
    layer = gzip.compress(archive.getvalue(), mtime=0)
    configuration = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(archive.getvalue())]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _described(configuration, "application/vnd.docker.container.image.v1+json"),
        "layers": [_described(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
    }
    return json.dumps(manifest).encode(), {_digest(one): one for one in (configuration, layer)}


class Registry(BaseHTTPRequestHandler):
    manifest, blobs = image()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if "/manifests/" in path:
            self._answer(self.manifest, MANIFEST)
        elif (blob := self.blobs.get(path.rpartition("/")[2])) is not None:
            self._answer(blob, "application/octet-stream")
        else:
            self._answer(b"{}", "application/json", 200 if path == "/v2/" else 404)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _answer(self, body: bytes, kind: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", _digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Registry).serve_forever()
