//! containerd, driven by `ctr`.

mod checkpoint;
mod checks;
mod ctr;
mod daemon;
mod leftovers;
mod running;
mod units;

checks!(
    output_and_exit_code,
    detached_output_kill_delete,
    signal_reaches_the_workload,
    options_of_run_take_effect,
    missing_program_is_named,
    twenty_in_a_row,
    ten_at_once,
    killed_shim_leaves_nothing,
    exec_pause_metrics,
    checkpoint_and_restore;
    systemd:
    detached_output_kill_delete,
    options_of_run_take_effect,
    ten_at_once,
    killed_shim_leaves_nothing,
    exec_pause_metrics,
    what_systemctl_does,
);
