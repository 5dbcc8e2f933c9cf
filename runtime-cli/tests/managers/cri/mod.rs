//! containerd's CRI plugin, spoken to as a kubelet does.

mod checks;
mod client;
mod daemon;
mod stream;

checks!(
    a_pod_and_its_containers,
    what_a_container_may,
    profiles_and_privileges,
    namespaces_of_others,
    mounts_and_devices,
    out_of_memory,
    exec_attach_port_forward,
    containerd_starts_anew,
    fifty_pods_at_once;
    systemd:
    a_pod_and_its_containers,
    limits_of_units,
    out_of_memory,
    containerd_starts_anew,
    twenty_pods_at_once,
);
