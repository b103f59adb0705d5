#!/usr/bin/env bash
# docker/check.py on a machine without a Docker engine that reaches no image registry: as root, bash docker/without_registry.sh
#
# For Debian 12 and later. The engine runs in namespaces of its own (network, processes, mounts): however this ends, no
# address, rule, port or process of it is left. What stays are the package debootstrap, and build/docker, which makes the
# next run quick; remove the folder to begin afresh. It needs the course's .venv.
#
# The compose file and the Dockerfile are the real ones. Every image that they name is a stand-in here:
#   python:3.13-slim         Debian 13 and its Python 3.13, where pip installs wheels that were fetched before
#   apache/kafka:4.3.1       the same version's jars on Debian's Java, set up by the official image's own launcher class
#   prom/prometheus:v3.5.0   Debian 13's Prometheus, an older one
#   prom/alertmanager:v0.28.1  Debian 13's
#   grafana/grafana:11.6.0   none: Grafana is left out
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/build/docker
export PATH=$folder/engine/docker:$PATH DOCKER_CONFIG=$folder/engine/docker # the client, and its compose plugin

prepare() {
    [ -e /usr/sbin/debootstrap ] || { apt-get update && apt-get install --yes debootstrap; }
    mkdir -p "$folder"
    for part in base python java engine; do
        [ -e "$folder/$part" ] && continue
        rm -rf "$folder/$part.part"
        "make_$part" "$folder/$part.part"
        mv "$folder/$part.part" "$folder/$part"
    done
}

# Debian 13, with this machine's mirror, resolver, certificates and pip's configuration.
make_base() {
    debootstrap --variant=minbase --include=python3-venv,ca-certificates trixie "$1" \
        "$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)"
    cp --dereference /etc/resolv.conf "$1/etc/"
    cp --dereference "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}" "$1/etc/ssl/certs/"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$1/etc/"
}

# Python in /usr/local, as the official image has it, with the wheels of what the course needs.
make_python() {
    cp -a "$folder/base" "$1"
    cp requirements.txt constraints.txt "$1/tmp/"
    chroot "$1" python3 -m venv /usr/local
    chroot "$1" pip wheel --quiet --no-cache-dir --wheel-dir /wheels hatchling -r /tmp/requirements.txt -c /tmp/constraints.txt
    printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$1/etc/pip.conf"
}

# Java, Prometheus and Alertmanager, and Kafka as its official image has it: its folders, its user, its start.
make_java() {
    cp -a "$folder/base" "$1"
    mount --bind /proc "$1/proc"
    chroot "$1" apt-get install --yes --no-install-recommends default-jre-headless prometheus prometheus-alertmanager wget || failed=yes
    umount "$1/proc"
    [ -z "${failed-}" ]
    chroot "$1" useradd --uid 1000 --create-home appuser
    mkdir -p "$1"/opt/kafka/{config,libs} "$1"/{etc/kafka/docker,mnt/shared/config,var/lib/kafka/data,prometheus,alertmanager}
    .venv/bin/python -c '
import shutil, sys
from capstone_utils.ingestion.broker.broker import LOCK
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.settings import Settings
for jar in fetch_jars(LOCK, Settings.from_environment().cache_dir):
    shutil.copy(jar, sys.argv[1])' "$1/opt/kafka/libs"
    cp capstone_utils/ingestion/broker/kafka.log4j2.xml "$1/opt/kafka/log4j2.xml"
    cat >"$1/etc/kafka/docker/run" <<'EOF'
#!/bin/sh
set -e
export CLUSTER_ID="${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}"
java="java -Xmx1G -Dlog4j2.configurationFile=/opt/kafka/log4j2.xml -cp /opt/kafka/libs/*"
set -f
said=$($java kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) ||
    echo "$said" | grep "already formatted" || { echo "$said"; exit 1; }
exec $java kafka.Kafka /opt/kafka/config/server.properties
EOF
    chmod +x "$1/etc/kafka/docker/run"
    chroot "$1" chown -R appuser /opt/kafka /etc/kafka /mnt/shared/config /var/lib/kafka
    chroot "$1" chown nobody /prometheus /alertmanager
}

# Docker's engine, client and compose plugin.
make_engine() {
    cp -a "$folder/base" "$1"
    chroot "$1" apt-get install --yes --no-install-recommends docker.io docker-cli docker-compose iptables
    mkdir "$1/docker"
    ln -s ../usr/bin/docker ../usr/libexec/docker/cli-plugins "$1/docker/"
}

import_image() { # name, folder, then what a Dockerfile would say of it
    local name=$1 root=$folder/$2
    shift 2
    docker image inspect "$name" >/dev/null 2>&1 || tar -C "$root" -c . | docker import "${@/#/--change=}" - "$name" >/dev/null
    echo "stand-in: $name"
}

# With this shell as process 1 of the namespaces: when it ends, the kernel ends all that it started.
run_check() {
    local root=$folder/engine
    ip link set lo up
    mount --bind "$root" "$root" # a mount point: only below one can containers change their root
    mount -t tmpfs tmpfs /run
    for path in /proc /sys /dev /run /tmp "$PWD"; do
        mkdir -p "$root$path" && mount --rbind "$path" "$root$path"
    done
    setsid unshare --mount sh -c 'cd "$0" && pivot_root . mnt && cd / && umount -l /mnt && exec dockerd' "$root" >"$folder/dockerd.log" 2>&1 & # out of Ctrl-C's reach: the check cleans up first
    timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 0.2; done' || { tail "$folder/dockerd.log"; return 1; }
    import_image python:3.13-slim python 'CMD ["python3"]'
    import_image apache/kafka:4.3.1 java 'USER appuser' 'CMD ["/etc/kafka/docker/run"]' \
        'VOLUME ["/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"]'
    import_image prom/prometheus:v3.5.0 java 'USER nobody' 'WORKDIR /prometheus' 'VOLUME ["/prometheus"]' \
        'CMD ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]'
    import_image prom/alertmanager:v0.28.1 java 'USER nobody' 'WORKDIR /alertmanager' 'VOLUME ["/alertmanager"]' \
        'CMD ["prometheus-alertmanager", "--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"]'
    echo "left out: grafana/grafana:11.6.0"
    .venv/bin/python -m docker.check --without grafana
}

if [ "${1-}" = inside ]; then
    run_check
else
    prepare
    exec unshare --net --pid --mount --mount-proc --fork --kill-child bash docker/without_registry.sh inside
fi
