# shellcheck shell=bash
# Sourced by .ci/run where ../shared/cluster lies beside the checkout: brings that cluster up, describes it to the tests
# in KUBECONFIG and CLUSTER_..., and takes it down when the shell ends, unless it was up before. Needs root.
root=${K8S_ROOT:-/opt/k8s}
scripts=$(mktemp -d)
cp -R ../shared/cluster/. "$scripts" # what lies there may be read-only
chmod -R u+w "$scripts"

was_up=
if "$root/bin/kubectl" --kubeconfig "$root/admin.kubeconfig" --request-timeout 5s get --raw /readyz &>/dev/null; then
    was_up=yes
fi

take_down() {
    [ -n "$was_up" ] || bash "$scripts/down.sh" || true
    rm -rf "$scripts"
}
trap take_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -z "$was_up" ]; then
    bash "$scripts/build.sh"
    bash "$scripts/images.sh"
    bash "$scripts/up.sh"
fi
# shellcheck source=/dev/null
. "$root/lab.env"

export CLUSTER_REGISTRY=http://$LAB_REGISTRY/ml
export CLUSTER_S3_ENDPOINT=$LAB_S3_ENDPOINT
export CLUSTER_S3_ACCESS_KEY=$LAB_S3_ACCESS_KEY
export CLUSTER_S3_SECRET_KEY=$LAB_S3_SECRET_KEY
export CLUSTER_HOST_ADDRESS=$LAB_NODE_IP
export CLUSTER_IMAGE_BASE=docker-archive:$root/images/python.tar
export CLUSTER_STATSD_IMAGE=$LAB_REGISTRY/ml/statsd-exporter:local
export CLUSTER_RESTART="bash $PWD/.ci/restart.sh $scripts"

# The cluster pulls from its own registry alone, so the exporter goes there, as an image of one file.
if ! crane --insecure digest "$CLUSTER_STATSD_IMAGE" &>/dev/null; then
    tar --mode=755 -C "$root/bin" -cf "$scripts/exporter.tar" statsd_exporter
    crane --insecure append --oci-empty-base --new_layer "$scripts/exporter.tar" --new_tag "$CLUSTER_STATSD_IMAGE"
    crane --insecure mutate "$CLUSTER_STATSD_IMAGE" --tag "$CLUSTER_STATSD_IMAGE" --entrypoint /statsd_exporter \
        --user 65532 --set-platform "linux/$(dpkg --print-architecture)"
fi
