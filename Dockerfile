# Built here, run there: compilers, pip's cache and the sources stay in the first stage. Registries move the tag when
# they rebuild it; give a digest to be sure of the very same base: --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${BASE} AS build
# The hot modules are compiled here.
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN for what in build canaryproxy; do python3 -m venv /opt/$what || exit 1; done \
 && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/build.txt \
 && /opt/canaryproxy/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes -r requirements/runtime.txt \
 && /opt/canaryproxy/bin/pip check
COPY pyproject.toml setup.py README.md LICENSE ./
COPY canaryproxy canaryproxy
RUN CANARYPROXY_PLAIN=0 /opt/build/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/canaryproxy/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-index dist/*.whl

# hadolint ignore=DL3006
FROM ${BASE}
RUN groupadd --system --gid 65532 canaryproxy \
 && useradd --system --uid 65532 --gid 65532 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin canaryproxy \
 && install -d -o 65532 -g 65532 -m 0750 /var/lib/canaryproxy
COPY --from=build /opt/canaryproxy /opt/canaryproxy
COPY config/container.yaml /etc/canaryproxy/canaryproxy.yaml
ENV PATH=/opt/canaryproxy/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STATE_DIRECTORY=/var/lib/canaryproxy
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# Not the volume: its writers must not control the content of the working directory.
WORKDIR /
VOLUME /var/lib/canaryproxy
EXPOSE 8080 9900 9901
STOPSIGNAL SIGTERM
# By the socket of the config that comes with the image; a config of yours without `server.probes.socket` is asked by its port.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
  CMD ["canaryproxy", "probe", "ready", "--socket", "/var/lib/canaryproxy/probes.sock", "--address", "127.0.0.1:9901"]
ENTRYPOINT ["canaryproxy"]
CMD ["run", "/etc/canaryproxy/canaryproxy.yaml"]
