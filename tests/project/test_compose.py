"""docker-compose.yml, its image and its locks: valid by the published schema, and shut as docs/security.md says."""

import importlib.util
import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from docs.generate import ROOT
from tests.support.containers import PROGRAM, compose, hidden

SERVICES = compose()["services"]
LOCKS = ROOT / "deploy" / "locks"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
ENTRY = re.compile(r"^([\w.-]+)==(\S+)(?: ; .*?)?( \\)?\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)*)", re.MULTILINE)
needs_docker_compose = pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="not installed: docker-compose (Debian's package, with its schema)"
)
each_service = pytest.mark.parametrize("name", SERVICES)


def script(name: str):
    """A program of deploy/, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "deploy" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_docker_compose
@pytest.mark.parametrize("profile", [(), ("--profile", "gpu")])
def test_docker_compose_takes_the_file_by_its_schema(profile):
    """Debian's docker-compose validates against the compose specification's JSON schema that it ships."""
    said = subprocess.run(["docker-compose", *profile, "config"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")
    assert re.findall(r"^    - (.*/tcp)$", said.stdout, re.MULTILINE) == ["127.0.0.1:8080:8080/tcp"]


@needs_docker_compose
def test_docker_compose_refuses_what_the_schema_does_not_know(tmp_path):
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (tmp_path / "docker-compose.yml").write_text(text.replace("  read_only: true", "  readonly: true"))
    said = subprocess.run(["docker-compose", "config", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "'readonly'" in said.stderr


@each_service
def test_every_service_is_shut_in(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"privileged", "cap_add", "network_mode", "pid", "env_file"}.isdisjoint(service)
    own = service["image"].startswith("sweetspot:")  # then the Dockerfile says it
    assert own or service["user"] not in {"", "0", "root"}


def test_only_the_proxy_publishes_a_port():
    assert [name for name in SERVICES if "ports" in SERVICES[name]] == ["proxy"]
    assert "proxy" not in [name for name in SERVICES if "storage" in SERVICES[name]["networks"]]
    assert SERVICES["dashboard"]["networks"] == SERVICES["database"]["networks"] == ["storage"]
    assert compose()["networks"]["storage"] == {"internal": True}


def test_who_is_given_which_secret():
    given = {name: set(service.get("secrets", ())) for name, service in SERVICES.items()}
    assert given["worker"] == given["worker-gpu"] == {"worker_password"}
    assert (given["dashboard"], given["proxy"]) == ({"dashboard_password"}, {"htpasswd"})
    for service in SERVICES.values():
        for value in service.get("environment", {}).values():
            assert not re.search(r"://[^/@]*:[^/@]*@", value), "a password in a URL"
        named = [key for key in service.get("environment", {}) if "PASSWORD" in key]
        assert all(key.endswith("_FILE") for key in named)


def test_images_are_pinned():
    foreign = [service["image"] for service in SERVICES.values() if not service["image"].startswith("sweetspot:")]
    assert all(re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?-\w+", image) for image in foreign)
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-", DOCKERFILE, re.MULTILINE)
    assert f"python:{script('lock').PYTHON}." in f"python:{re.search('PYTHON=(.+)', DOCKERFILE)[1]}"


def test_the_image_gets_what_it_copies_and_no_secret():
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    lines = re.findall(r"^COPY (?!--)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = [word.replace("${TORCH}", "cpu") for line in lines for word in line.split()]
    for word in copied:
        assert (ROOT / word).exists()
        assert any(Path(word).is_relative_to(place) for place in allowed)
    find = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]
    assert {name.removesuffix("*") for name in find["include"]} <= set(copied)
    assert not any("secrets" in place for place in allowed)
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()
    assert re.search(r"^USER (?!0|root)", DOCKERFILE, re.MULTILINE)


def test_the_dockerfile_is_sound():
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(*names: str) -> dict[str, tuple[str, bool]]:
    """Version and whether it has hashes, of each requirement in these locks."""
    text = "".join((LOCKS / name).read_text(encoding="utf-8") for name in names)
    return {normal(name): (version, bool(hashes)) for name, version, _, hashes in ENTRY.findall(text)}


def test_the_locks_hold_the_tested_versions_with_hashes():
    pins = re.findall(r"^([\w.-]+)==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    tested = {normal(name): version for name, version in pins}
    lock = locked("common.txt", "torch-cuda.txt")
    assert all(hashed for _, hashed in lock.values())
    assert {name: version for name, (version, _) in lock.items() if name in tested} == {
        name: version for name, version in tested.items() if name in lock
    }
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {normal(re.match(r"[\w.-]+", line)[0]) for line in needed} <= set(lock)


def test_the_cpu_build_is_of_the_same_versions_and_says_if_it_has_no_hashes():
    cpu, cuda = locked("torch-cpu.txt"), locked("torch-cuda.txt")
    assert {name: version.partition("+")[0] for name, (version, _) in cpu.items()} == {
        name: cuda[name][0] for name in ("torch", "torchvision")
    }
    without = script("lock").WITHOUT.strip() in (LOCKS / "torch-cpu.txt").read_text()
    assert without is not all(hashed for _, hashed in cpu.values())


def test_the_secrets_are_random_closed_to_others_and_kept(tmp_path):
    (tmp_path / "deploy").mkdir()
    made = shutil.copy(ROOT / "deploy" / "secrets.sh", tmp_path / "deploy")
    first = subprocess.run(["sh", made], capture_output=True, text=True, check=True).stdout
    place = tmp_path / "secrets"
    texts = {path.name: path.read_text() for path in place.iterdir()}
    named = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    assert set(texts) == named | {"login"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert stat.S_IMODE((place / "login").stat().st_mode) == 0o600
    assert len(set(texts.values())) == len(texts)
    assert not any(text.strip() in first for text in texts.values())
    subprocess.run(["sh", made], capture_output=True, check=True)
    assert {path.name: path.read_text() for path in place.iterdir()} == texts


def test_an_audit_says_what_is_known_and_what_is_not(tmp_path):
    audit = script("audit")
    safe, bad = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}]}
    unknown = {"name": "c", "skip_reason": "not found"}
    assert audit.report([unknown]) == ["pip-audit: its database cannot be reached; nothing is known"]
    assert audit.report([safe, bad, unknown])[0] == "pip-audit: 1 of 2 packages have known vulnerabilities"
    assert audit.report([safe, bad])[1] == "  b 2: CVE-1"
    said = json.dumps({"dependencies": [safe]})
    assert audit.answers(["echo", said], 10) == [safe]
    assert audit.answers(["sleep", "10"], 0.1) == []
    assert audit.answers(["echo", "not json"], 10) == []


@pytest.mark.parametrize("target", [PROGRAM, "/data"])
def test_an_environment_that_no_container_could_see_is_named_at_once(target: str) -> None:
    path = Path(target) / "clone" / ".venv"
    assert hidden(Path("/usr"), path) == (
        f"{path} lies in {target}, which the containers have for themselves: put this clone elsewhere"
    )
    assert not hidden(Path("/usr"), Path("/tmp/ä clone/.venv"), Path("/database"), Path("/opt/other"))
