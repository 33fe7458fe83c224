# orca-cool in a container. Not built here.
#
#   docker build -t orca-cool .                              on the processor
#   docker build -t orca-cool --build-arg TORCH=cu126 .      for NVIDIA GPUs; run with --gpus all
#   docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/data" orca-cool \
#     predict --model yeast-metaphase --genome example -o example.mcool
#
# Apptainer (Singularity), on a cluster (--nv: with its GPUs):
#   apptainer build orca-cool.sif docker-daemon://orca-cool:latest
#   apptainer run --nv orca-cool.sif predict --model yeast-metaphase --genome example -o example.mcool
#
# Models of your own: -v /srv/orca-models:/models:ro (ORCA_COOL_MODEL_PATH names that folder).

FROM python:3.12-slim

# cpu, or a CUDA build of PyTorch's index: cu126, cu128, ...
ARG TORCH=cpu
ARG EXTRAS=variants,parquet,perturb,serve,cluster

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY orca_cool orca_cool
COPY higlass_plugin higlass_plugin
RUN pip install --no-cache-dir torch --index-url "https://download.pytorch.org/whl/${TORCH}" \
    && pip install --no-cache-dir ".[${EXTRAS}]" \
    && rm -rf /src/build \
    && mkdir -p /data /models /home/orca-cool \
    && chmod 1777 /home/orca-cool

ENV HOME=/home/orca-cool \
    ORCA_COOL_MODEL_PATH=/models \
    MPLBACKEND=Agg

WORKDIR /data
ENTRYPOINT ["orca-cool"]
CMD ["--help"]
