# shellcheck shell=bash
# Brings up the cluster whose scripts lie in ../shared/cluster and tells the tests where it is; source it. Root is needed.
scripts=$(mktemp -d)
cp -R ../shared/cluster/. "$scripts"   # what is there may be read-only, and the scripts write beside themselves
chmod -R u+w "$scripts"
end_cluster() { bash "$scripts/down.sh"; rm -rf "$scripts"; }
trap end_cluster EXIT

bash "$scripts/build.sh"
bash "$scripts/images.sh"
bash "$scripts/up.sh"
root=${K8S_ROOT:-/opt/k8s}
# shellcheck source=/dev/null
. "$root/lab.env"

export CLUSTER_REGISTRY=http://$LAB_REGISTRY/ml
export CLUSTER_S3_ENDPOINT=$LAB_S3_ENDPOINT
export CLUSTER_S3_ACCESS_KEY=$LAB_S3_ACCESS_KEY
export CLUSTER_S3_SECRET_KEY=$LAB_S3_SECRET_KEY
export CLUSTER_HOST_ADDRESS=$LAB_NODE_IP
export CLUSTER_IMAGE_BASE=docker-archive:$root/images/python.tar

# This cluster pulls from its own registry alone: the StatsD exporter is brought there as an image of one file.
export CLUSTER_STATSD_IMAGE=$LAB_REGISTRY/ml/statsd-exporter:local
if ! crane --insecure digest "$CLUSTER_STATSD_IMAGE" >/dev/null 2>&1; then
    layer=$(mktemp --suffix=.tar)
    tar -C "$root/bin" -cf "$layer" statsd_exporter
    crane --insecure append --new_layer "$layer" --new_tag "$CLUSTER_STATSD_IMAGE" --platform linux/amd64
    crane --insecure mutate "$CLUSTER_STATSD_IMAGE" --tag "$CLUSTER_STATSD_IMAGE" --entrypoint /statsd_exporter \
        --set-platform "linux/$(dpkg --print-architecture)" --user 65532
    rm "$layer"
fi
