"""The registry, its door, and what each may: documents and the containers' bodies. Pure.

The door (nginx) compares the whole request, as it was sent, with what its user may ask for. All
else is answered as if it were not there: what exists elsewhere is nobody's to know.
"""

import base64
import hashlib
import json
from typing import Any

from slipway.contracts import labels
from slipway.contracts.registry import LIBRARY, PLATFORM, Account

PORT = 5000
"""Of the registry and of its door, each in its container."""
ALIAS = "registry"
"""The door's name in the networks of BuildKits."""
USERS = "/etc/slipway/users"
_CONNECTIONS = 128
"""That one network may have at once; BuildKit needs about ten for each build."""
_NGINX = "/etc/slipway/nginx.conf"
_REGISTRY = "/etc/slipway/registry.json"
_PART = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = f"{_PART}(?:/{_PART})*"
_ORGANIZATION = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DIGEST = "sha256(?::|%3A)[0-9a-f]{64}"
_TAG = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"


def _rules() -> list[str]:
    r"""Of `user method address`. The user that comes first is `\1` where it is said again."""
    own, read = rf"({_ORGANIZATION}) %s /v2/\1/{_REPOSITORY}", "(?:GET|HEAD)"
    manifest, blob = f"/manifests/(?:{_TAG}|{_DIGEST})", f"/blobs/{_DIGEST}"
    reads = f"(?:{manifest}|{blob}|/tags/list)"
    # A mount takes a layer out of another repository: of one's own, or of everybody's.
    source = rf"from=(?:\1|{LIBRARY})(?:/|%2F){_PART}(?:(?:/|%2F){_PART})*"
    of_hub = r"(?:\?ns=docker[.]io)?"  # so a BuildKit asks its mirror
    mount = f"mount={_DIGEST}"
    upload = "/blobs/uploads/[0-9a-f-]+"
    state, digest = "_state=[A-Za-z0-9_=%-]+", f"digest={_DIGEST}"
    return [
        rf"({_ORGANIZATION}|{PLATFORM}) {read} /v2/",
        rf"({_ORGANIZATION}|{PLATFORM}) {read} /v2/{LIBRARY}/{_REPOSITORY}{reads}{of_hub}",
        rf"{PLATFORM} {read} /v2/{_REPOSITORY}{reads}",
        own % read + reads,
        own % "PUT" + manifest,
        own % "POST" + rf"/blobs/uploads/(?:\?(?:{mount}(?:&{source})?|{source}&{mount}))?",
        own % "(?:GET|HEAD|PATCH|DELETE)" + rf"{upload}(?:\?{state})?",
        own % "PUT" + rf"{upload}\?(?:{state}&{digest}|{digest}&{state}|{digest})",
    ]


def nginx_conf(registry: str) -> str:
    """`registry`: its name in the network of both. `from` and `mount` of a form would win over
    those of the address, which are looked at here: what is uploaded is no form."""
    allowed = "\n".join(f'    "~^{rule}$" 1;' for rule in _rules())
    return f"""\
worker_processes 1;
error_log /dev/stderr error;
pid /tmp/nginx.pid;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  resolver 127.0.0.11 valid=2s;
  client_max_body_size 0;
  client_header_timeout 10s;
  client_body_timeout 300s;
  # In each network the door has an address of its own: nobody takes all connections.
  limit_conn_zone $server_addr zone=networks:1m;
  limit_conn networks {_CONNECTIONS};
  limit_conn_status 429;
  map $remote_user $file {{
    "~^({_ORGANIZATION}|{PLATFORM})$" $1;
    default nobody;
  }}
  map "$remote_user $request_method $request_uri" $allowed {{
    # Who does not say who he is, is asked to.
    "~^ " 1;
{allowed}
    default 0;
  }}
  server {{
    listen {PORT};
    set $registry http://{registry}:{PORT};
    if ($allowed = 0) {{ return 404; }}
    auth_basic registry;
    auth_basic_user_file {USERS}/$file;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_read_timeout 300s;
    location / {{
      proxy_set_header Host $http_host;
      proxy_set_header Authorization "";
      proxy_pass $registry;
    }}
    location ~ /blobs/uploads/ {{
      proxy_set_header Host $http_host;
      proxy_set_header Authorization "";
      proxy_set_header Content-Type application/octet-stream;
      proxy_pass $registry;
    }}
  }}
}}
"""


def registry_conf(secret: str) -> str:
    """JSON, which is YAML. `secret`: by it an upload goes on after a restart. Nothing is kept in
    memory: `make up` writes beside it into the volume."""
    purging = {"enabled": True, "age": "24h", "interval": "6h", "dryrun": False}
    document = {
        "version": "0.1",
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": "/var/lib/registry"},
            "maintenance": {"uploadpurging": purging},
        },
        "http": {"addr": f":{PORT}", "relativeurls": True, "secret": secret},
    }
    return json.dumps(document)


def user_file(account: Account) -> str:
    """A line of an htpasswd file. The password is long and without a pattern, and asked for with
    each layer, so a plain hash is right."""
    digest = hashlib.sha1(account.password.encode(), usedforsecurity=False).digest()
    return f"{account.user}:{{SHA}}{base64.b64encode(digest).decode()}\n"


def registry_files(secret: str) -> dict[str, str]:
    return {_REGISTRY: registry_conf(secret)}


def door_files(instance: str, accounts: list[Account]) -> dict[str, str]:
    files = {f"{USERS}/{account.user}": user_file(account) for account in accounts}
    return {_NGINX: nginx_conf(labels.registry_container(instance)), f"{USERS}/nobody": "", **files}


def registry(instance: str, image: str) -> dict[str, Any]:
    """The body for the engine's `POST /containers/create`."""
    store = {
        "Type": "volume", "Source": labels.registry_volume(instance), "Target": "/var/lib/registry",
    }  # fmt: skip
    return {
        "Image": image,
        "Entrypoint": ["registry", "serve", _REGISTRY],
        "Env": ["GOGC=25"],  # it does little, and keeps little in memory for it
        "Labels": {labels.INSTANCE: instance},
        "HostConfig": {**_host(instance, 512), "Mounts": [store]},
    }


def door(instance: str, image: str, port: int) -> dict[str, Any]:
    """`port`: where the engine finds it, on loopback."""
    exposed = f"{PORT}/tcp"
    return {
        "Image": image,
        "Entrypoint": ["nginx", "-c", _NGINX, "-g", "daemon off;"],
        "Labels": {labels.INSTANCE: instance},
        "ExposedPorts": {exposed: {}},
        "HostConfig": {
            **_host(instance, 128),
            # It is in the networks of all BuildKits: a kernel forwards between them, unless told.
            "Sysctls": {"net.ipv4.ip_forward": "0"},
            "PortBindings": {exposed: [{"HostIp": "127.0.0.1", "HostPort": str(port)}]},
        },
    }


def collect(instance: str) -> list[str]:
    """What no manifest leads to goes. Nobody may push meanwhile, or what was pushed is lost. It
    would look at every tag for each manifest, were it told to remove those without a tag."""
    container = labels.registry_container(instance)
    return ["docker", "exec", container, "registry", "garbage-collect", _REGISTRY]


def _host(instance: str, mebibytes: int) -> dict[str, Any]:
    return {
        "NetworkMode": labels.registry_network(instance),
        "Memory": mebibytes << 20,
        "PidsLimit": 256,
        "SecurityOpt": ["no-new-privileges"],
        "RestartPolicy": {"Name": "always"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "2"}},
    }
