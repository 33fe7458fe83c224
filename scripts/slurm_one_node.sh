#!/usr/bin/env bash
# Runs the SLURM array of docs/roads/core-facility.md on a real SLURM: one node, this machine, in a folder of its own, on the yeast example.
#   apt-get install slurm-wlm munge    # Debian, Ubuntu
#   bash scripts/slurm_one_node.sh     # as root; minutes
# One of the tasks is requeued while it runs. The joined table must be that of one command, byte for byte, but for the column that names files and lines.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
for program in munged slurmctld slurmd sbatch; do
    command -v "$program" >/dev/null || {
        echo "error: $program is not installed: apt-get install slurm-wlm munge" >&2
        exit 2
    }
done
[ "$(id -u)" = 0 ] || {
    echo "error: SLURM's daemons are started as root here" >&2
    exit 2
}
python=${PYTHON:-.venv/bin/python}
folder=$(mktemp -d)
chmod 755 "$folder"
stop() {
    local daemon pid _
    for daemon in slurmd slurmctld munged; do
        pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do # it still writes into the folder
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.2
        done
    done
    rm -rf "$folder"
}
trap stop EXIT

# ---- a SLURM of one node
host=$(hostname -s)
mkdir "$folder/state" "$folder/spool" "$folder/work"
dd if=/dev/urandom of="$folder/munge.key" bs=128 count=1 2>/dev/null
chmod 600 "$folder/munge.key"
munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
    --log-file "$folder/munge.log" --seed-file "$folder/munge.seed"
free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
cat >"$folder/slurm.conf" <<CONF
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
SlurmUser=root
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmdSpoolDir=$folder/spool
StateSaveLocation=$folder/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=batch_sched_delay=1,sched_interval=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 512)) State=UNKNOWN
PartitionName=main Nodes=$host Default=YES State=UP
CONF
export SLURM_CONF=$folder/slurm.conf
slurmctld
slurmd
for _ in $(seq 60); do
    [ "$(sinfo -h -o %T 2>/dev/null)" = idle ] && break
    sleep 1
done
[ "$(sinfo -h -o %T)" = idle ] || {
    echo "error: the node does not come up" >&2
    tail -5 "$folder"/*.log >&2
    exit 1
}
echo "SLURM $(sinfo --version | cut -d' ' -f2), one node of $(nproc) CPUs"

# ---- the array of the documentation, on the example genome
cd "$folder/work"
printf '#!/bin/sh\nexec env PYTHONPATH="%s" "%s" -m orca_cool "$@"\n' "$root" "$(cd "$root" && realpath -s "$python")" >orca-cool
chmod +x orca-cool
export PATH="$PWD:$PATH" OMP_NUM_THREADS=1
"$root/$python" - <<'SNVS' >in.vcf
import orca_cool as oc
from orca_cool.genome.source import codes_to_letters

source = oc.open_genome("example").source
print("##fileformat=VCFv4.2")
print("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO", sep="")
for chrom, size in source.chromsizes.items():
    for at in range(20_000, size - 20_000, 40_000):
        ref = codes_to_letters(source.fetch(chrom, at, at + 1)).decode()
        print(chrom, at + 1, f"{chrom}.{at}", ref, "A" if ref != "A" else "T", ".", "PASS", ".", sep="\t")
SNVS
grep '^#' in.vcf >head.vcf
grep -v '^#' in.vcf >lines.vcf
cat >array.sh <<'ARRAY'
#!/bin/bash
#SBATCH --array=0-3 --cpus-per-task=1 --mem=2G --requeue
part=$(printf "part%02d" "$SLURM_ARRAY_TASK_ID")
{ cat head.vcf; split -n l/$((SLURM_ARRAY_TASK_ID + 1))/4 lines.vcf; } > "$part.vcf"
orca-cool variants "$part.vcf" --model yeast-metaphase --genome example --levels 8000 -q -o "$part.tsv"
ARRAY
job=$(sbatch --parsable --export=ALL array.sh)
requeued=
for _ in $(seq 600); do
    left=$(squeue -h -j "$job" -o %i 2>/dev/null || true)
    [ -n "$left" ] || break
    if [ -z "$requeued" ] && [ -d part00.tsv.partial ]; then
        scontrol requeue "${job}_0" && requeued=1 && echo "task 0 was requeued while it ran"
        scontrol release "${job}_0" 2>/dev/null || true
    fi
    sleep 0.5
done
[ -n "$requeued" ] || echo "note: task 0 was done before it could be requeued"
(
    head -n 1 part00.tsv
    tail -q -n +2 part??.tsv
) >joined.tsv
orca-cool variants in.vcf --model yeast-metaphase --genome example --levels 8000 -q -o whole.tsv
# the column `where` names the file and the line of a variant
where=$(head -n 1 whole.tsv | tr '\t' '\n' | grep -n '^where$' | cut -d: -f1)
cmp <(cut --complement -f "$where" joined.tsv) <(cut --complement -f "$where" whole.tsv)
echo "4 tasks, $(grep -c . lines.vcf) variants: the joined table is that of one command"
