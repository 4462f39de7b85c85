"""What Kubernetes and Slurm are given: valid by schema, and commands that exist with the options they are given."""

import os
import re
import shutil
import subprocess

import pytest
import yaml

from docs.generate import ROOT, commands, help_text

KUBERNETES = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
SBATCH = ROOT / "deploy" / "slurm" / "sweetspot.sbatch"
OBJECTS = [thing for path in KUBERNETES for thing in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
by_kind = {thing["kind"]: thing for thing in OBJECTS}


@pytest.mark.parametrize("thing", OBJECTS, ids=lambda thing: thing["kind"])
def test_kubernetes_takes_it_by_its_schema(thing):
    import kubernetes_validate

    kubernetes_validate.validate(thing, kubernetes_validate.latest_version(), strict=True)


def test_the_schema_would_refuse_a_slip_of_the_pen():
    import kubernetes_validate

    job = yaml.safe_load(yaml.safe_dump(by_kind["Job"]))
    job["spec"]["paralelism"] = 8
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def test_a_pod_may_do_nothing_but_work():
    pod = by_kind["Job"]["spec"]["template"]["spec"]
    (worker,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    assert worker["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"requests", "limits"} <= set(worker["resources"])
    assert by_kind["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress"]


def test_its_command_has_these_options():
    (worker,) = by_kind["Job"]["spec"]["template"]["spec"]["containers"]
    module, *options = worker["args"]
    assert module in commands()
    assert {word for word in options if word.startswith("--")} <= set(re.findall(r"--[a-z-]+", help_text(module)))


def test_its_secret_is_the_one_that_the_pod_reads_and_holds_nothing():
    secret, pod = by_kind["Secret"], by_kind["Job"]["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pod["volumes"] if "secret" in volume]
    assert volume["secret"]["secretName"] == secret["metadata"]["name"]
    environment = {entry["name"]: entry["value"] for entry in pod["containers"][0]["env"]}
    assert environment["SWEETSPOT_STORAGE_PASSWORD_FILE"].rpartition("/")[2] in secret["stringData"]
    assert secret["stringData"] == {"password": "put-the-password-here"}


SRUN = """#!/bin/sh
# Starts the tasks as srun does, here
for task in $(seq "$SLURM_NTASKS"); do
    while [ "${1#--}" != "$1" ]; do shift; done
    "$@" &
done
wait
"""


@pytest.fixture
def submit(tmp_path):
    """Runs the script with a stand-in for srun and a stand-in for Python that writes down its arguments."""

    def run(storage: str | None) -> subprocess.CompletedProcess[str]:
        for name, text in {"srun": SRUN, "python": f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'}.items():
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_NTASKS": "3", "SLURM_CPUS_PER_TASK": "2"}
        env |= {} if storage is None else {"SWEETSPOT_STORAGE": storage}
        command = ["bash", str(SBATCH), "--trials", "9"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    return run


def test_every_task_of_the_script_runs_the_search(submit, tmp_path):
    assert submit("postgresql://sweetspot@db/sweetspot").returncode == 0
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == ["-m model.data", *["-m search.run --trials 9"] * 3]


def test_the_script_refuses_a_file_that_nodes_would_share(submit, tmp_path):
    for storage, said in ((None, "set it to the database"), ("sqlite:///s.db", "must be a PostgreSQL server")):
        done = submit(storage)
        assert done.returncode != 0
        assert said in done.stderr
    assert not (tmp_path / "calls").exists()


def test_shell_scripts_are_sound():
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("not installed: shellcheck (Debian's package)")
    scripts = [SBATCH, *(ROOT / "deploy").rglob("*.sh")]
    done = subprocess.run([checker, *scripts], capture_output=True, text=True, check=False)
    assert done.stdout == ""
