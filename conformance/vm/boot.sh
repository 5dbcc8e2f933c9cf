# Boots the machine and waits for the command: sourced by vm.

# boot COMMAND...: never returns.
boot() {
    # A kernel that panics says why, but not with a loglevel of 0: console_verbose() leaves that as it is.
    local share words="quiet loglevel=1 panic=-1" status=0 streams
    control="$(mktemp -d)"
    trap finish EXIT
    # By default a signal ends a shell without its trap for EXIT.
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    mkdir "$control/initrd" "$control/shared"
    initrd
    # The project is one of the host's directories that may be hidden in the machine; it is read-only there.
    {
        echo "ro $project"
        for share in "${shares[@]}"; do echo "rw $share"; done
    } >"$control/shared/shares"
    cp "$here"/guest/{minimal,job,settings,job.service,as-user,policy.cil} "$control/shared/"
    echo "$profile" >"$control/shared/profile"
    # The arguments as they are, one after the other with a NUL between them.
    printf '%s\0' "$@" >"$control/shared/command"
    touch "$control/shared"/{out,err,status}
    [ "$profile" = minimal ] || words+=" systemd.unit=job.service systemd.show_status=no"
    case "$module" in
    apparmor) words+=" security=apparmor apparmor=1" ;;
    selinux) words+=" security=selinux selinux=1 enforcing=0" ;;
    esac

    # In a pid namespace, so that nothing of the machine is left however it ends.
    unshare --pid --fork --kill-child timeout --signal KILL "$deadline" \
        bash -c "$(declare -f start_uml start_qemu); start_$machine \"\$@\"" \
        bash "$place" "$control" "$words" "$project" "${shares[@]}" </dev/null >"$control/console" 2>&1 &
    machine_pid=$!
    tail --sleep-interval 0.1 --lines +1 --pid "$machine_pid" --follow "$control/shared/out" &
    streams=($!)
    tail --sleep-interval 0.1 --lines +1 --pid "$machine_pid" --follow "$control/shared/err" >&2 &
    streams+=($!)
    wait "$machine_pid" || status=$?
    wait "${streams[@]}" || true
    machine_pid=

    if [ -s "$control/shared/status" ]; then
        exit "$(cat "$control/shared/status")"
    fi
    tail --lines 50 "$control/console" >&2
    [ "$status" -ne 137 ] || fail 124 "the command did not end within $deadline s"
    fail 125 "the machine ended before the command did, with exit status $status"
}

finish() {
    local status=$?
    if [ -n "${machine_pid-}" ]; then
        kill -KILL "$machine_pid" 2>/dev/null || true
        wait "$machine_pid" || true
    fi
    rm -rf --one-file-system "$control"
    exit "$status"
}

# initrd: what the kernel starts with, before the host's files are there.
initrd() {
    mkdir "$control/initrd/bin"
    cp "$(command -v busybox)" "$control/initrd/bin/busybox"
    cp -r "$place/early" "$control/initrd/modules"
    cp "$here/guest/initrd" "$control/initrd/init"
    (cd "$control/initrd" && find . | cpio --quiet --create --format newc) >"$control/initrd.img"
}

# Both are called with: directory of the kernel, directory of this run, kernel command line, shared directories.
start_uml() {
    local place="$1" control="$2" words="$3"
    # The loader of the kernel is in this directory, see kernel.sh.
    cd "$place"
    LD_LIBRARY_PATH=. LD_PRELOAD=./xstate.so exec ./linux mem=1536M uml_dir="$control/" initrd="$control/initrd.img" \
        con=null con0=null,fd:1 VM_MODULES="$place/modules" VM_CONTROL="$control/shared" $words
}

start_qemu() {
    local place="$1" control="$2" words="$3" accelerator=tcg number=0 directory disks=()
    # A /dev/kvm where the CPU does not virtualize serves only kernels that were made for it.
    ! grep -qwE 'vmx|svm' /proc/cpuinfo || accelerator=kvm
    share() { # TAG READ-ONLY DIRECTORY
        disks+=(-virtfs "local,mount_tag=$1,readonly=$2,path=$3,security_model=passthrough,multidevs=remap")
    }
    share host on /
    share control off "$control/shared"
    for directory in "${@:4}"; do
        share "share$number" "$([ $number = 0 ] && echo on || echo off)" "$directory"
        number=$((number + 1))
    done
    TMPDIR="$control" exec qemu-system-x86_64 -M q35 -cpu max -accel "$accelerator" -smp "$(nproc)" -m 2048 \
        -nodefaults -no-reboot -display none -serial stdio \
        -kernel "$place/linux" -initrd "$control/initrd.img" \
        -append "console=ttyS0 VM_MODULES=$place/modules $words" "${disks[@]}"
}
