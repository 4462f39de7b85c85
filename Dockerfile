# The image of worker and dashboard. TORCH chooses the build of PyTorch: cuda, which runs on a CPU as well, or cpu,
# which is gigabytes smaller and needs PYTORCH_CPU: the index of CPU wheels that PyTorch's page on installing names.
#
#   docker build --tag sweetspot:cuda .
#   docker build --tag sweetspot:cpu --build-arg TORCH=cpu --build-arg PYTORCH_CPU=... .
#
# PyTorch and the rest are stages of their own: a new version of one leaves the other's layer as it is, and both images
# share the rest. Every file is held to its hash in deploy/locks; for torch-cpu.txt see docs/compose.md.

ARG PYTHON=3.11.13-slim-bookworm

FROM python:${PYTHON} AS torch
ARG TORCH=cuda
ARG PYTORCH_CPU
COPY deploy/locks/torch-${TORCH}.txt /locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    if [ "$TORCH" = cpu ]; then set -- --index-url "${PYTORCH_CPU:?the CPU build needs PYTORCH_CPU}"; \
    else set -- --require-hashes; fi \
    && pip install --no-deps --target /opt/torch "$@" --requirement "/locks/torch-$TORCH.txt"

FROM python:${PYTHON} AS common
COPY deploy/locks/common.txt /locks/
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --target /opt/common --require-hashes --requirement /locks/common.txt

FROM common AS program
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY studies studies
COPY search search
RUN PYTHONPATH=/opt/common pip install --no-deps --no-build-isolation --no-cache-dir --target /opt/sweetspot .

FROM python:${PYTHON}
ARG TORCH=cuda
# Triton, which comes with the CUDA build, starts its kernels by C that it compiles when they are first needed.
# hadolint ignore=DL3008  # Debian keeps no old versions to pin
RUN if [ "$TORCH" = cuda ]; then apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*; fi
COPY --from=torch /opt/torch /opt/torch
COPY --from=common /opt/common /opt/common
COPY --from=program /opt/sweetspot /opt/sweetspot
# The volumes take their owner from these directories when they are new.
RUN install -d -o 10001 -g 10001 /artifacts /data
ENV PYTHONPATH=/opt/sweetspot:/opt/common:/opt/torch \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["python", "-m"]
CMD ["search.worker"]
