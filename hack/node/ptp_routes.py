#!/usr/bin/env python3
"""Pod network of a built node image: a ptp CNI configuration for this node's podCIDR, and a route to every other node's."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CNI_CONFIG = Path("/etc/cni/net.d/10-ptp.conflist")
INTERVAL_SECONDS = 3


def list_nodes() -> list[dict[str, Any]]:
    """Every node, read from the API server with the pod's own token, which rotates."""
    api = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    token = (SERVICE_ACCOUNT / "token").read_text()
    request = urllib.request.Request(f"{api}/api/v1/nodes", headers={"Authorization": f"Bearer {token}"})
    context = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=10) as response:
        nodes: list[dict[str, Any]] = json.load(response)["items"]
    return nodes


def cni_config(pod_cidr: str) -> str:
    """The CNI configuration that hands out addresses of ``pod_cidr``."""
    ptp = {
        "type": "ptp",
        "ipMasq": True,
        "mtu": 1500,
        "ipam": {
            "type": "host-local",
            "dataDir": "/run/cni-ipam-state",
            "routes": [{"dst": "0.0.0.0/0"}],
            "ranges": [[{"subnet": pod_cidr}]],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [ptp, portmap]})


def write_cni_config(text: str) -> None:
    """Put the configuration in place whole: the kubelet reads the folder at any moment."""
    if CNI_CONFIG.exists() and CNI_CONFIG.read_text() == text:
        return
    new = CNI_CONFIG.with_suffix(".tmp")
    new.write_text(text)
    new.rename(CNI_CONFIG)


def reconcile(this_node: str) -> None:
    """Bring this node's configuration and routes in line with the nodes there are."""
    for node in list_nodes():
        pod_cidr = node["spec"].get("podCIDR")
        addresses = node["status"].get("addresses", [])
        address = next((a["address"] for a in addresses if a["type"] == "InternalIP"), None)
        if pod_cidr is None:
            continue
        if node["metadata"]["name"] == this_node:
            write_cni_config(cni_config(pod_cidr))
        elif address is not None:
            subprocess.run(["ip", "route", "replace", pod_cidr, "via", address], check=False)


def main() -> None:
    """Reconcile for ever; an API server that is away is asked again."""
    while True:
        try:
            reconcile(os.environ["NODE_NAME"])
        except OSError as error:
            print(f"asking again in {INTERVAL_SECONDS} s: {error}", flush=True)
        time.sleep(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
