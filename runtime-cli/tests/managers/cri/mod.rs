//! containerd's CRI plugin, spoken to as a kubelet does.

mod checks;
mod client;
mod daemon;

checks!(a_pod_and_its_containers, what_a_container_may, out_of_memory, fifty_pods_at_once);
