# shellcheck shell=bash
# Sourced by .ci/run where ../shared/cluster lies beside the checkout. Begins to build that cluster in the background,
# with the time that others leave; bring_up_cluster waits for it, brings it up and describes it to the tests in
# KUBECONFIG and CLUSTER_...; it is taken down when the shell ends, unless it was up before. Needs root.
root=${K8S_ROOT:-/opt/k8s}
scripts=$(mktemp -d)
cp -R ../shared/cluster/. "$scripts" # what lies there may be read-only
chmod -R u+w "$scripts"

was_up=
if "$root/bin/kubectl" --kubeconfig "$root/admin.kubeconfig" --request-timeout 5s get --raw /readyz &>/dev/null; then
    was_up=yes
fi

take_down() {
    [ -z "$building" ] || kill -- "-$building" 2>/dev/null || true
    [ -n "$was_up" ] || bash "$scripts/down.sh" || true
    rm -rf "$scripts"
}
trap take_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

building=
if [ -z "$was_up" ]; then
    echo "building the cluster in the background: $root/build.log"
    mkdir -p "$root"
    setsid nice -n 19 bash -c "bash '$scripts/build.sh' && bash '$scripts/images.sh'" &>"$root/build.log" &
    building=$!
fi

bring_up_cluster() {
    if [ -z "$was_up" ]; then
        if ! wait "$building"; then
            tail -n 30 "$root/build.log"
            return 1
        fi
        building=
        bash "$scripts/up.sh"
    fi
    describe_cluster
}

describe_cluster() {
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
}
