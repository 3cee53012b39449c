"""An engine of Slipway's own is started again while the former is still dying. Its programs are the
test's, and so are the folders they are in: the machine's own are covered."""

import subprocess

import pytest

from tests.e2e.instance import ROOT

pytestmark = pytest.mark.engine

PROGRAMS = r"""
set -eu
for folder in /opt /run /var/lib; do mount -t tmpfs tmpfs $folder; done
bin=/opt/slipway-engine/bin run=/run/slipway-engine
mkdir -p $bin $run/exec/containerd
touch /opt/slipway-engine/installed
cat >$bin/docker <<'END'
#!/bin/sh
case $1 in
version) [ -e /run/answers ] ;;
info) echo active true ;;
esac
END
cat >$bin/dockerd <<'END'
#!/bin/sh
former=$(cat /run/slipway-engine/docker.pid 2>/dev/null || true)
if [ -n "$former" ] && kill -0 "$former" || pgrep -x containerd; then exit 1; fi
echo $$ >/run/slipway-engine/docker.pid
echo started >>/run/started
touch /run/answers
while :; do sleep 1; done
END
chmod +x $bin/*
"""


def ensured(script: str) -> subprocess.CompletedProcess[str]:
    """With process numbers of its own: nothing of it is left."""
    argv = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    argv += ["env", "SLIPWAY_CACHE=/run/cache", "sh", "-c", PROGRAMS + script]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


ENSURE = """
sh infra/engine/ensure.sh
cat /run/started
"""


@pytest.mark.parametrize(
    ("name", "file"), [("dockerd", "docker.pid"), ("containerd", "exec/containerd/containerd.pid")]
)
def test_one_that_still_dies_is_waited_for(name: str, file: str):
    dying = f"cp $(command -v sleep) /run/{name}; /run/{name} 1.5 & echo $! >$run/{file}\n"
    done = ensured(dying + ENSURE)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


def test_one_that_only_begins_is_the_one():
    begins = "cp $(command -v sleep) /run/dockerd; /run/dockerd 60 & echo $! >$run/docker.pid\n"
    answers = "(sleep 1; touch /run/answers) &\n: >/run/started\n"
    done = ensured(begins + answers + ENSURE)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_anothers_process_with_the_number_of_the_former_is_none():
    done = ensured("sleep 60 & echo $! >$run/docker.pid\n" + ENSURE)
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr


SILENT = """
echo 0.00 0.00 >/run/uptime
mount --bind /run/uptime /proc/uptime
cat >$bin/docker <<'END'
#!/bin/sh
read -r up _ </proc/uptime
echo "$((${up%.*} + 10)).00 0.00" >/run/uptime
exit 1
END
"""
"""Each question takes ten seconds, by the only clock there is."""


ENSURE_SILENT = """
sh infra/engine/ensure.sh || code=$?
read -r up _ </proc/uptime
echo ${up%.*}
exit ${code:-0}
"""


def test_one_that_does_neither_is_told_after_a_minute():
    stuck = "cp $(command -v sleep) /run/dockerd; /run/dockerd 600 & echo $! >$run/docker.pid\n"
    done = ensured(SILENT + stuck + ENSURE_SILENT)
    assert done.returncode == 1
    assert done.stderr.count("waiting a minute at most") == 1
    assert "has not answered for a minute" in done.stderr
    assert "next: end it: kill" in done.stderr
    assert 60 <= int(done.stdout) <= 80


def test_one_that_is_started_and_says_nothing_is_told_after_a_minute():
    done = ensured(SILENT + ENSURE_SILENT)
    assert done.returncode == 1
    assert "did not start within 60 s" in done.stderr
    assert 60 <= int(done.stdout) <= 80
