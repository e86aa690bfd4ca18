"""What `hantei migrate` writes is a run that the API server takes, for each of Keisei's strategies."""

from pathlib import Path

import pytest
import yaml
from kubernetes import client

from hantei_api.names import GROUP, RUN_PLURAL, VERSION
from hantei_cli.main import main

CONFIG = Path(__file__).parents[1] / "fixtures" / "keisei" / "default_config.yaml"


@pytest.mark.parametrize("strategy", ["single_opponent", "tournament", "ladder", "benchmark", "custom"])
def test_a_migrated_config_is_accepted_by_the_api_server(
    api: client.ApiClient, namespace: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["evaluation"]["strategy"] = strategy
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    claim = ["--checkpoint-claim", "models", "--checkpoint-path", "run/checkpoint.pth"]

    assert main(["migrate", str(file), *claim, "--name", "migrated"]) == 0

    manifest = yaml.safe_load(capsys.readouterr().out)
    objects = client.CustomObjectsApi(api)
    taken = objects.create_namespaced_custom_object(GROUP, VERSION, namespace, RUN_PLURAL, manifest, dry_run="All")
    assert taken["spec"] == manifest["spec"]
    assert taken["spec"]["suite"]["shogi"]["strategy"] == strategy
