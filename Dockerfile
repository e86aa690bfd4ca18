# Two images, one file:
#   docker build --target operator  -t hantei/operator:dev  .     no torch; adds less than 180 MB to its base
#   docker build --target evaluator -t hantei/evaluator:dev .     PyTorch for CUDA, then the other packages, then our code
# BASE is any image with Python 3.11 or newer as python3 and the venv module. Behind a proxy that signs with its own CA, give the CA
# bundle as a secret: --secret id=ca,src=/etc/ssl/certs/ca-certificates.crt. It ends up in no layer.
ARG BASE=python:3.11-slim

FROM ${BASE} AS base
# A read-only root file system and any numeric user will do: nothing is written outside /tmp, and LOGNAME spares a look-up in /etc/passwd.
ENV PATH=/opt/hantei/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    LOGNAME=hantei \
    XDG_CACHE_HOME=/tmp/.cache
RUN python3 -m venv --without-pip /opt/hantei

# The installer stays out of both images: it is mounted while packages are installed.
FROM base AS installer
COPY hack/lock/build.txt /tmp/lock/
RUN --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/tmp/.cache/pip \
    if [ -s /run/ca.crt ]; then export PIP_CERT=/run/ca.crt; fi; \
    python3 -m venv /opt/installer \
 && /opt/installer/bin/pip install --disable-pip-version-check -r /tmp/lock/build.txt
COPY --chmod=755 hack/image-install /opt/installer/bin/image-install

# Our code, one wheel per image: a change to the operator leaves the evaluator's image as it was.
FROM installer AS sources
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY api api
COPY cli cli

FROM sources AS operator-wheel
COPY operator operator
RUN /opt/installer/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM sources AS evaluator-wheel
COPY evaluator evaluator
RUN /opt/installer/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels .

FROM base AS operator
ARG BASE
COPY hack/lock/operator.txt /opt/hantei/lock/
RUN --mount=from=installer,source=/opt/installer,target=/opt/installer \
    --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/tmp/.cache/pip \
    /opt/installer/bin/image-install -r /opt/hantei/lock/operator.txt
RUN --mount=from=installer,source=/opt/installer,target=/opt/installer --mount=from=operator-wheel,source=/wheels,target=/wheels \
    /opt/installer/bin/image-install --no-index /wheels/*.whl
LABEL org.opencontainers.image.title=hantei-operator org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.base.name=${BASE}
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["hantei-operator"]

FROM base AS evaluator
ARG BASE
COPY hack/lock/torch.txt /opt/hantei/lock/
RUN --mount=from=installer,source=/opt/installer,target=/opt/installer \
    --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/tmp/.cache/pip \
    /opt/installer/bin/image-install -r /opt/hantei/lock/torch.txt
COPY hack/lock/evaluator.txt /opt/hantei/lock/
RUN --mount=from=installer,source=/opt/installer,target=/opt/installer \
    --mount=type=secret,id=ca,target=/run/ca.crt --mount=type=cache,target=/tmp/.cache/pip \
    /opt/installer/bin/image-install -r /opt/hantei/lock/evaluator.txt
RUN --mount=from=installer,source=/opt/installer,target=/opt/installer --mount=from=evaluator-wheel,source=/wheels,target=/wheels \
    /opt/installer/bin/image-install --no-index /wheels/*.whl
LABEL org.opencontainers.image.title=hantei-evaluator org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.base.name=${BASE}
WORKDIR /tmp
USER 10001:10001
ENTRYPOINT ["hantei"]
