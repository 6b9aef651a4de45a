#!/usr/bin/env bash
# restart.sh SCRIPTS COMPONENT: ends one part of the cluster that the scripts in a folder brought up (kube-apiserver,
# containerd), has them start what is missing, and waits until all of it is ready.
set -euo pipefail
# shellcheck source=/dev/null
. "$1/env.sh"
stop "$2" 5
bash "$1/up.sh"
