# Myriad in NVIDIA's Isaac Sim container: ./myriad container build isaacsim
#
# Pinned by tag and not by digest, because the version is an argument; 5.1.0 and 6.0.1 are built in CI. Using the image
# means accepting NVIDIA's license: ACCEPT_EULA=Y.
ARG ISAACSIM_VERSION=5.1.0
FROM nvcr.io/nvidia/isaac-sim:${ISAACSIM_VERSION}

# The folder has the extension's name, by which Kit knows it; user 1234 is the image's own.
COPY --chown=1234 . /isaac-sim/omni.myriad
WORKDIR /isaac-sim/omni.myriad
USER 1234

# Isaac Sim's torch and numpy stay as they are: pip may not even wish for others.
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
RUN /isaac-sim/python.sh -c 'import numpy, torch; print(f"torch=={torch.__version__}\nnumpy=={numpy.__version__}")' \
        | grep '==' > /tmp/owned.txt \
    && /isaac-sim/python.sh -m pip install --no-cache-dir -c /tmp/owned.txt -e '.[export,wandb]' pytest hypothesis \
    && mkdir -p runs

ENV ISAACSIM_PATH=/isaac-sim PYTHONUNBUFFERED=1
# The base image's waits for a streaming server that is not started here.
HEALTHCHECK NONE
# The launcher's verbs, after Isaac Sim's own look at ACCEPT_EULA: docker run IMAGE train task=Ant
ENTRYPOINT ["/bin/bash", "-c", "/isaac-sim/license.sh >&2 && exec /isaac-sim/omni.myriad/myriad \"$@\"", "myriad"]
CMD ["help"]
