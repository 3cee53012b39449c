"""The git server of the tests: the sample's, which also leads elsewhere, and gives out files of
LFS."""

import hashlib
import json
import sys
from pathlib import Path
from typing import override
from urllib.parse import unquote

from slipway_install import git_http

LFS = "lfs"
"""The folder of their content, by hash, and the place it is given out at."""


def pointer(folder: Path, content: bytes) -> str:
    """What stands in the repository for `content`, which lies in `folder` from now on."""
    hash_ = hashlib.sha256(content).hexdigest()
    (folder / LFS).mkdir(exist_ok=True)
    (folder / LFS / hash_).write_bytes(content)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{hash_}\nsize {len(content)}\n"


class Handler(git_http.Handler):
    connections = 1000  # all organizations come by one address

    @override
    def do_GET(self) -> None:
        if self.path.startswith("/moved/"):
            to, _, rest = self.path.removeprefix("/moved/").partition("/")
            self.send_response(302)
            self.send_header("Location", f"{unquote(to)}/{rest}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith(f"/{LFS}/"):
            file = self.root / LFS / Path(self.path).name
            self._send(file.read_bytes() if file.is_file() else None, "application/octet-stream")
        else:
            super().do_GET()

    @override
    def do_POST(self) -> None:
        if not self.path.endswith("/info/lfs/objects/batch"):
            super().do_POST()
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        objects = [
            {**each, "actions": {"download": {"href": self._place(each["oid"])}}}
            for each in asked["objects"]
        ]
        answer = {"transfer": "basic", "objects": objects}
        self._send(json.dumps(answer).encode(), "application/vnd.git-lfs+json")

    def _place(self, hash_: str) -> str:
        return f"http://{self.headers['Host']}/{LFS}/{hash_}"

    def _send(self, body: bytes | None, kind: str) -> None:
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


if __name__ == "__main__":
    git_http.main(sys.argv[1:], Handler)
