#!/usr/bin/env bash
# The README's commands on a machine that has Python and nothing else: a bare Debian, made for the purpose and thrown away.
#
#   tests/fresh_machine.sh [SUITE] [COMMAND ...]        as root, with debootstrap and git; SUITE: bookworm (default) or trixie
#   tests/fresh_machine.sh trixie run offline run       COMMAND: run (default), test, or any other of capstone_utils;
#                                                       those after `offline` have no network
#
# There: debootstrap's minbase, python3, python3-venv and certificates; no Java, no git, no C library but glibc's and
# C++'s. The checkout's tracked files are copied in as they are and belong to an ordinary user. Taken over from this machine:
# its Debian mirror, pip's settings, proxies and certificates (from the environment and /etc).
# FRESH_MACHINE names the folder of the machine (default: a temporary one); given, it is kept, and used again with its
# .venv and build/ if it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
commands=("${@:2}")
[ ${#commands[@]} -gt 0 ] || commands=(run)
machine=${FRESH_MACHINE:-$(mktemp -d /var/tmp/fresh-machine.XXXXXX)}
[ -n "${FRESH_MACHINE:-}" ] || trap 'rm -rf --one-file-system "$machine"' EXIT
home=$machine/home/learner

if [ ! -x "$machine/usr/bin/python3" ]; then
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | grep -m1 '/debian/*$' || true)
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$machine" ${mirror:+"$mirror"}
    echo "learner:x:1000:1000::/home/learner:/bin/bash" >>"$machine/etc/passwd"
fi
for file in /etc/hosts /etc/resolv.conf /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp -L "$file" "$machine$file"
done
mkdir -p "$home/course"
find "$home/course" -mindepth 1 -maxdepth 1 ! -name .venv ! -name build -exec rm -rf {} +
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$home/course"
chown -R 1000:1000 "$home"

settings=(HOME=/home/learner PATH=/usr/local/bin:/usr/bin:/bin)
for port in KAFKA API METRICS WORKER_METRICS PROMETHEUS; do
    settings+=("CAPSTONE_${port}_PORT=0") # free ones: the network is shared with this machine
done
while IFS= read -r -d '' variable; do
    case $variable in
    PIP_* | [hH][tT][tT][pP]*_[pP][rR][oO][xX][yY]=* | [nN][oO]_[pP][rR][oO][xX][yY]=* | SSL_CERT_FILE=* | REQUESTS_CA_BUNDLE=*)
        settings+=("$variable")
        ;;
    esac
done < <(env --null)

network=()
for command in "${commands[@]}"; do
    if [ "$command" = offline ]; then
        network=(--net)
        continue
    fi
    began=$SECONDS
    # Mounts, processes and, offline, the network are the machine's own: they end with the command, whichever way it ends.
    unshare --mount --pid --fork --kill-child "${network[@]}" bash -c '
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        ip link set lo up
        cd /
        exec chroot --userspec=1000:1000 "$1" env --ignore-environment --chdir=/home/learner/course "${@:2}"
    ' bash "$machine" "${settings[@]}" python3 -m capstone_utils "$command"
    echo "$suite${network:+, offline}: python3 -m capstone_utils $command: well, in $((SECONDS - began)) s"
done
