//! config.md: hooks; runtime.md: what happens when in the life of a container, and what must fail.

use super::{Row, by, rows, unproven};

pub(super) const ROWS: &[Row] = rows! {
    "config.md#posix-platform-hooks" {
        Must "hook/order" "The hooks of a stage run in the listed order." => by(&["hook/order"]);
        Must "hook/state" "A hook reads the state of the container from its standard input." => by(&["hook/state-of-runtime-hooks", "hook/state-of-container-hooks"]);
        Must "hook/state-status" "The status there is that of the stage: creating, created, running, stopped." => by(&["hook/state-of-runtime-hooks", "hook/state-of-container-hooks"]);
        Must "hook/path" "The path of a hook is in the runtime's namespace, or in the container's for startContainer." => by(&["hook/namespaces"]);
        Must "hook/path-absolute" "A hook without an absolute path is an error." => by(&["config/hook-relative"]);
        Must "hook/args" "args of a hook are its arguments, the first one included." => by(&["hook/order"]);
        Must "hook/args-absent" "Without args a hook gets its path as the first argument." => by(&["hook/args-absent"]);
        Must "hook/env" "A hook has the environment that it lists and nothing else." => by(&["hook/env-given", "hook/env-absent"]);
        Must "hook/timeout" "A hook that exceeds its timeout has failed." => by(&["hook/timeout"]);
        Must "hook/timeout-positive" "A timeout is greater than zero." => by(&["hook/timeout-zero"]);
        Must "hook/prestart" "prestart hooks run in create, in the runtime's namespaces, when the container's exist." => by(&["hook/order", "hook/namespaces"]);
        Must "hook/create-runtime" "createRuntime hooks run in create, in the runtime's namespaces, when the container's exist." => by(&["hook/order", "hook/namespaces", "hook/network"]);
        Must "hook/create-container" "createContainer hooks run in create, in the container's namespaces, before the root changes." => by(&["hook/order", "hook/namespaces"]);
        Must "hook/start-container" "startContainer hooks run in start, in the container, before the program." => by(&["hook/order", "hook/namespaces"]);
        Must "hook/poststart" "poststart hooks run in start, in the runtime's namespaces, after the program has begun." => by(&["hook/poststart", "hook/namespaces"]);
        Must "hook/poststop" "poststop hooks run in delete, in the runtime's namespaces, when the container is gone." => by(&["hook/order", "hook/namespaces"]);
    }
    "runtime.md#lifecycle" {
        Must "lifecycle/configured" "What config.json asks for is made, or create is an error." => by(&["hostile/bad-values", "rollback/failed-create"]);
        Must "lifecycle/create-runs-nothing" "create does not run the program." => by(&["operation/statuses"]);
        Must "lifecycle/config-later" "A change of config.json after create changes nothing." => by(&["lifecycle/config-change-after-create"]);
        Must "lifecycle/hook-failure-create" "A failing prestart, createRuntime or createContainer hook is an error; the container is gone." => by(&["hook/failure-in-create", "hook/first-failure-ends", "hook/missing-program"]);
        Must "lifecycle/hook-failure-start" "A failing startContainer hook is an error, and the program never runs." => by(&["hook/start-container-failure"]);
        Must "lifecycle/hook-failure-poststart" "A failing poststart hook is an error of start, and ends the container (since 1.3; it was a warning)." => by(&["hook/poststart-failure"]);
        Must "lifecycle/poststop-after-failure" "When a hook of create has failed, the poststop hooks run as after delete." => by(&["hook/poststop-after-failure"]);
        Must "lifecycle/hook-failure-poststop" "A failing poststop hook is a warning; what is left to do is done." => by(&["hook/poststop-failure"]);
        Must "lifecycle/delete-undoes" "delete undoes what create has made." => by(&["cgroup/removed", "cgroup/sub-cgroups", "lifecycle/delete-then-reuse"]);
    }
    "runtime.md#scope-of-a-container" {
        Must "lifecycle/same-caller" "Who creates a container can use every operation on it." => by(&["operation/statuses", "lifecycle/kill-default", "lifecycle/delete-then-reuse"]);
    }
    "runtime.md#state" {
        Must "state/oci-version" "The state has ociVersion." => by(&["operation/state"]);
        Must "state/id" "The state has the id." => by(&["operation/state"]);
        Must "state/id-unique" "An id is used once on a host." => by(&["operation/id-in-use", "lifecycle/creating"]);
        Must "state/status-creating" "The status is creating while the container is made." => by(&["hook/state-of-runtime-hooks", "lifecycle/creating"]);
        Must "state/status-created" "The status is created when create has ended." => by(&["operation/statuses"]);
        Must "state/status-running" "The status is running while the program runs." => by(&["operation/statuses", "security/process-name"]);
        Must "state/status-stopped" "The status is stopped when the process has ended." => by(&["operation/statuses", "lifecycle/state-stopped-pid"]);
        May "state/status-more" "Another status is for what these do not say, such as paused." => by(&["cli/pause-resume"]);
        Must "state/pid" "The state has the pid as the runtime sees it, when there is a process." => by(&["operation/state"]);
        Must "state/pid-in-hooks" "The state that a hook gets has the pid as the hook sees it." => by(&["hook/state-of-container-hooks"]);
        Must "state/bundle" "The state has the absolute path of the bundle." => by(&["operation/state", "cli/bundle-is-cwd"]);
        Must "state/annotations" "The state has the annotations." => by(&["operation/state"]);
    }
    "runtime.md#errors" {
        Must "error/nothing-changed" "After an error everything is as if nothing had been tried." => by(&["rollback/failed-create", "rollback/no-descriptor", "rollback/pid-file", "update/all-or-nothing", "netdev/back"]);
        Must "error/killed" "A runtime that was killed leaves nothing that delete cannot remove." => by(&["rollback/killed-create", "rollback/killed-create-mapped", "rollback/killed-create-processes", "rollback/killed-start", "rollback/killed-delete"]);
    }
    "runtime.md#query-state" {
        Must "state/no-id" "state without an id is an error." => by(&["operation/no-id"]);
        Must "state/unknown" "state of an unknown container is an error." => by(&["operation/unknown-id"]);
    }
    "runtime.md#create" {
        Must "create/no-id" "create without an id is an error." => by(&["operation/no-id"]);
        Must "create/no-bundle" "create without a usable bundle is an error." => by(&["hostile/no-config"]);
        Must "create/id-used" "create with an id in use is an error, and no harm to its container." => by(&["operation/id-in-use"]);
        Must "create/id-invalid" "create with an invalid id is an error." => by(&["lifecycle/invalid-ids", "hostile/id-with-slash"]);
        Must "create/process-later" "Everything but the process is set up; the process is in start's time." => by(&["operation/statuses", "hook/order"]);
    }
    "runtime.md#start" {
        Must "start/no-id" "start without an id is an error." => by(&["operation/no-id"]);
        Must "start/unknown" "start of an unknown container is an error." => by(&["operation/unknown-id"]);
        Must "start/not-created" "start of a container that is not created is an error and changes nothing." => by(&["operation/start-again", "lifecycle/start-race"]);
        Must "start/runs" "start runs the program." => by(&["operation/statuses"]);
        Must "start/cannot-execute" "A program that the kernel cannot execute is an error of start." => by(&["lifecycle/start-cannot-execute"]);
        Must "start/process-unset" "start without process is an error, or create before it." => by(&["value/process-missing"]);
    }
    "runtime.md#kill" {
        Must "kill/no-id" "kill without an id is an error." => by(&["operation/no-id"]);
        Must "kill/unknown" "kill of an unknown container is an error." => by(&["operation/unknown-id"]);
        Must "kill/signal" "kill sends the signal to the process." => by(&["lifecycle/kill-default", "lifecycle/kill-names"]);
        Must "kill/created" "A created container can be killed." => by(&["lifecycle/kill-created"]);
        Must "kill/stopped" "kill of a stopped container is an error." => by(&["operation/kill-stopped"]);
    }
    "runtime.md#delete" {
        Must "delete/no-id" "delete without an id is an error." => by(&["operation/no-id"]);
        Must "delete/unknown" "delete of an unknown container is an error." => by(&["operation/unknown-id"]);
        Must "delete/running" "delete of a container that is not stopped is an error and changes nothing." => by(&["operation/delete-running"]);
        Must "delete/created" "delete of a created container is an error." => unproven("runc and crun delete it, and containerd and Podman rely on that: case lifecycle/delete-created insists on it");
        Must "delete/resources" "delete removes what create has made." => by(&["cgroup/removed", "cgroup/sub-cgroups"]);
        Must "delete/not-ours" "delete leaves alone what create has not made." => by(&["resource/delete-keeps", "rollback/killed-create-beside"]);
        Must "delete/reuse" "The id is free again." => by(&["lifecycle/delete-then-reuse"]);
    }
    "runtime-linux.md#file-descriptors" {
        Must "descriptor/three" "Only the standard streams are open, unless the caller asks for more." => by(&["process/no-descriptors", "security/descriptors"]);
        May "descriptor/more" "The runtime may pass more descriptors." => by(&["process/preserve-fds", "cli/listen-fds"]);
    }
    "runtime-linux.md#dev-symbolic-links" {
        Must "device/link-fd" "/dev/fd leads to /proc/self/fd." => by(&["device/links"]);
        Must "device/link-streams" "/dev/stdin, /dev/stdout and /dev/stderr lead to the descriptors." => by(&["device/links"]);
    }
    "bundle.md#container-format" {
        Must "bundle/config" "config.json at the top of the bundle is what is read." => by(&["hostile/no-config", "cli/spec"]);
        Must "bundle/root" "The root file system is the directory that root.path names." => by(&["hostile/missing-fields", "mask/root-writable"]);
        May "bundle/moved" "A bundle with relative paths may be moved." => by(&["layer/relative-paths"]);
    }
};
