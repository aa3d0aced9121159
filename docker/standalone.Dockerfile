# Myriad on standalone PhysX, without Isaac Sim: ./myriad container build standalone
#
# The base brings no CUDA libraries of its own, because torch's and PhysX's wheels do; the driver is the host's. Its
# digest is that of the tag's list of platforms, as found in several public projects that pin it.
ARG BASE=nvidia/cuda:12.8.1-base-ubuntu24.04@sha256:133c78a0575303be34164d0b90137a042172bdf60696af01a3c424ab402d86e2

# ---- builds the Python environment
FROM ${BASE} AS build
# Ubuntu keeps the newest version of a package only, so that a pinned one could not be built again.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv
WORKDIR /myriad
COPY pyproject.toml setup.py constraints.txt README.md ./
COPY omni/myriad/__init__.py omni/myriad/
RUN /opt/venv/bin/pip install --no-cache-dir -c constraints.txt -e '.[physx,export,deploy,wandb]'

# ---- what runs
FROM ${BASE} AS runtime
# libgl1: PhysX loads libGL.so.1, although nothing is drawn.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 python3 && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1001 myriad && useradd --uid 1001 --gid 1001 --create-home myriad \
    && install -d -m 1777 /cache /myriad/runs && chmod 1777 /home/myriad
COPY --from=build /opt/venv /opt/venv
COPY . /myriad
# NVIDIA's runtime mounts of the driver what is asked for here: PhysX wants compute, nvidia-smi is a utility.
ENV VIRTUAL_ENV=/opt/venv \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    HOME=/home/myriad XDG_CACHE_HOME=/cache MPLCONFIGDIR=/cache/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /myriad
USER 1001:1001
# The launcher's verbs: docker run IMAGE train task=Ant. It becomes Python, so exit codes and signals pass through.
ENTRYPOINT ["/myriad/myriad"]
CMD ["help"]

# ---- what runs, and the tests' tools: ./myriad container test
FROM runtime AS test
USER 0
RUN /opt/venv/bin/pip install --no-cache-dir -c constraints.txt pytest hypothesis
USER 1001:1001
CMD ["test"]

# ---- what `docker build` makes if it is not told a stage
FROM runtime
