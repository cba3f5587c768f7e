"""The files in `deploy/` name what there is: files of the project, addresses of the server, variables that it reads."""

import re
from pathlib import Path
from typing import Any

import yaml

from core.web.guard import PROBES

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
VARIABLES = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/operations.md").read_text(), re.MULTILINE))


def kubernetes(kind: str) -> dict[str, Any]:
    """The only object of a kind."""
    (found,) = [each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()) if each["kind"] == kind]
    return dict(found)


def test_the_image_has_every_file_that_the_server_reads_and_none_of_the_tests() -> None:
    copied = [word for line in re.findall(r"^COPY (.*)", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
    read = {"app.py", "core", "pages", ".streamlit", "requirements.txt"}
    assert set(copied) == {*read, "LICENSE"}


def test_the_home_and_the_weights_lie_in_the_volume_and_nobody_is_root() -> None:
    assert re.search(r"HEADSTART_HOME=/data/\w+ KERAS_HOME=/data/", DOCKERFILE) and "VOLUME /data" in DOCKERFILE
    assert DOCKERFILE.index("USER 10001") < DOCKERFILE.index("CMD [")
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert services["headstart"]["volumes"] == ["data:/data"] and services["headstart"]["read_only"]
    container = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/data", "/tmp"}
    assert container["securityContext"]["readOnlyRootFilesystem"]


def test_who_watches_asks_where_the_server_answers() -> None:
    assert f"127.0.0.1:8501{PROBES[0]}'" in DOCKERFILE
    container = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"][0]
    probes = container["livenessProbe"]["httpGet"], container["readinessProbe"]["httpGet"]
    assert [(probe["path"], probe["port"]) for probe in probes] == [(path, 8501) for path in PROBES]


def test_every_variable_is_one_that_headstart_reads() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    container = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"][0]
    named = {*services["headstart"]["environment"], *(each["name"] for each in container["env"])}
    named |= set(re.findall(r"(HEADSTART_\w+)=", DOCKERFILE))
    assert named and named <= VARIABLES


def test_one_server_works_on_a_home() -> None:
    spec = kubernetes("Deployment")["spec"]
    assert spec["replicas"] == 1 and spec["strategy"] == {"type": "Recreate"}
