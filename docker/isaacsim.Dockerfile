# Myriad in NVIDIA's Isaac Sim container: ./myriad container build isaacsim
#
# Pinned by tag and not by digest, because the version is an argument; gpu.yml would build 5.1.0 and 6.0.1. Using the image
# means accepting NVIDIA's license: ACCEPT_EULA=Y.
ARG ISAACSIM_VERSION=5.1.0
FROM nvcr.io/nvidia/isaac-sim:${ISAACSIM_VERSION}
ARG ISAACSIM_VERSION

# The folder has the extension's name, by which Kit knows it; user 1234 is the image's own.
COPY --chown=1234 . /isaac-sim/omni.myriad
WORKDIR /isaac-sim/omni.myriad
USER 1234
ENV ISAACSIM_PATH=/isaac-sim PYTHONUNBUFFERED=1

# A new volume belongs to whom its folder in the image belongs to: those of compose.yaml are made here, by user 1234.
RUN mkdir -p runs /isaac-sim/kit/cache /isaac-sim/.cache /isaac-sim/.nv/ComputeCache /isaac-sim/.nvidia-omniverse/logs

# What python.sh does, but for its vulkan_check.sh, which looks for a GPU and would end the build; then, as the launcher
# does, Isaac Sim's own torch is found. Named and constrained, what Isaac Sim ships stays as it is.
SHELL ["/bin/bash", "-eo", "pipefail", "-c"]
# hadolint ignore=SC1091
RUN source ./myriad \
    && export SCRIPT_DIR=/isaac-sim CARB_APP_PATH=/isaac-sim/kit ISAAC_PATH=/isaac-sim EXP_PATH=/isaac-sim/apps \
    && set +u && source /isaac-sim/setup_python_env.sh && set -u \
    && find_torch python && export PYTHONPATH=$PYTHONPATH:$OUR_PATH \
    && python=/isaac-sim/kit/python/bin/python3 \
    && torch=$($python -c 'import torch; print(f"torch=={torch.__version__}")' | grep '^torch==') \
    && $python -m pip install --no-cache-dir -c "constraints/isaacsim-${ISAACSIM_VERSION%.*}.txt" "$torch" \
        -e '.[export,wandb,test]'

# The base image's waits for a streaming server that is not started here.
HEALTHCHECK NONE
# The launcher's verbs, after Isaac Sim's own look at ACCEPT_EULA: docker run IMAGE train task=Ant
# The host's group, which owns runs/, may do with them what user 1234 may.
ENTRYPOINT ["/bin/bash", "-c", "umask 002 && /isaac-sim/license.sh >&2 && exec /isaac-sim/omni.myriad/myriad \"$@\"", "myriad"]
CMD ["help"]
