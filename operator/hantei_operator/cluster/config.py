"""How to reach the API server: the pod's service account, or the user's kubeconfig."""

import os

from kubernetes import config
from kubernetes.client import ApiClient, Configuration

MAX_CONNECTIONS = 16
"""Eight writers, one stream for each informer, and one for the Lease."""


def load_client() -> ApiClient:
    """A client for the cluster that this process runs in, else for the kubeconfig's current context.

    In a cluster the client reads the service account's token again every minute, so a rotated one is picked up.

    Raises
    ------
    kubernetes.config.ConfigException
        Neither a service account nor a kubeconfig was found.
    """
    configuration = Configuration()
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        config.load_incluster_config(client_configuration=configuration)
    else:
        config.load_kube_config(client_configuration=configuration)
    configuration.connection_pool_maxsize = MAX_CONNECTIONS
    # A write that is sent twice is a second write, and three tries would triple every time-out: who calls decides.
    configuration.retries = False
    configuration.keep_alive = True
    return ApiClient(configuration)
