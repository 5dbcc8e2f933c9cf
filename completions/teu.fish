# Completion of fish for teu. Made from the tables of the command line by scripts/manuals.

# Whether the word after a flag is its value.
function __teu_takes_value -a command flag
    switch "$command:$flag"
        case ':--root' ':--log' ':--log-format' ':--log-level' ':--rootless' ':--criu'
            return 0
        case 'create:-b' 'create:--bundle' 'create:--console-socket' 'create:--pidfd-socket' 'create:--pid-file' 'create:--preserve-fds'
            return 0
        case 'run:-b' 'run:--bundle' 'run:--console-socket' 'run:--pidfd-socket' 'run:--pid-file' 'run:--preserve-fds'
            return 0
        case 'exec:--console-socket' 'exec:--pidfd-socket' 'exec:--cwd' 'exec:-e' 'exec:--env' 'exec:-u' 'exec:--user' 'exec:-g' 'exec:--additional-gids' 'exec:-p' 'exec:--process' 'exec:--pid-file' 'exec:--process-label' 'exec:--apparmor' 'exec:-c' 'exec:--cap' 'exec:--preserve-fds' 'exec:--cgroup'
            return 0
        case 'ps:-f' 'ps:--format'
            return 0
        case 'update:-r' 'update:--resources' 'update:--blkio-weight' 'update:--cpu-period' 'update:--cpu-quota' 'update:--cpu-burst' 'update:--cpu-share' 'update:--cpu-rt-period' 'update:--cpu-rt-runtime' 'update:--cpu-idle' 'update:--cpuset-cpus' 'update:--cpuset-mems' 'update:--memory' 'update:--memory-reservation' 'update:--memory-swap' 'update:--pids-limit' 'update:--l3-cache-schema' 'update:--mem-bw-schema'
            return 0
        case 'events:--interval'
            return 0
        case 'checkpoint:--image-path' 'checkpoint:--work-path' 'checkpoint:--parent-path' 'checkpoint:--status-fd' 'checkpoint:--page-server' 'checkpoint:--manage-cgroups-mode' 'checkpoint:--empty-ns'
            return 0
        case 'restore:-b' 'restore:--bundle' 'restore:--console-socket' 'restore:--image-path' 'restore:--work-path' 'restore:--pid-file' 'restore:--manage-cgroups-mode' 'restore:--empty-ns' 'restore:--lsm-profile' 'restore:--lsm-mount-context'
            return 0
        case 'list:-f' 'list:--format'
            return 0
        case 'spec:-b' 'spec:--bundle'
            return 0
        case 'plan:-b' 'plan:--bundle' 'plan:-f' 'plan:--format' 'plan:--console-socket' 'plan:--pidfd-socket' 'plan:--pid-file' 'plan:--preserve-fds'
            return 0
    end
    return 1
end

# The command and its operands, as far as they are written, without flags and their values.
function __teu_operands
    set -l tokens (commandline -opc)
    set -l command
    set -l skip
    for token in $tokens[2..]
        if test -n "$skip"
            set skip
        else if string match -qr -- '^-.' $token
            # One dash is as good as two.
            set -l flag (string replace -r -- '^-([^-].)' '--$1' $token)
            __teu_takes_value "$command" $flag; and set skip 1
        else
            test -n "$command"; or set command $token
            echo $token
        end
    end
end

# Whether the next word is a flag or an operand of a command.
function __teu_at -a command
    set -l operands (__teu_operands)
    if test -z "$command"
        test (count $operands) = 0
    else
        # The command line of `exec` is not ours.
        test "$operands[1]" = $command; and not test $command = exec -a (count $operands) -gt 1
    end
end

# Whether the next word is an operand of a command, and which.
function __teu_at_operand -a command number
    set -l operands (__teu_operands)
    test "$operands[1]" = $command; and test (count $operands) = $number
end

# The ids of the containers in the state root that the line names.
function __teu_containers
    set -l tokens (commandline -opc | string replace -r '^~/' "$HOME/")
    set -l root
    for i in (seq 2 (count $tokens))
        if string match -qr -- '^--?root$' $tokens[$i]
            set root $tokens[(math $i + 1)]
        else if string match -qr -- '^--?root=' $tokens[$i]
            set root (string replace -r -- '^--?root=' '' $tokens[$i])
        end
    end
    if test -z "$root"
        $tokens[1] list --quiet 2>/dev/null
    else if test -d "$root" # nothing is made by asking, and a state root would be
        $tokens[1] --root $root list --quiet 2>/dev/null
    end
end

complete -c teu -f

complete -c teu -n "__teu_at ''" -l root -x -a '(__fish_complete_directories (commandline -ct))' -d 'where the state of containers is kept (default: /run/teu, or $XDG_RUNTIME_DIR/teu without root)'
complete -c teu -n "__teu_at ''" -l log -r -F -d 'append messages to FILE instead of writing them to stderr; file:FILE means the same'
complete -c teu -n "__teu_at ''" -l log-format -x -a 'text json' -d 'form of the messages (default: text)'
complete -c teu -n "__teu_at ''" -l log-level -x -a 'error warning info debug' -d 'the least important messages to write (default: warning, and error with --log)'
complete -c teu -n "__teu_at ''" -l debug -d 'the same as --log-level debug'
complete -c teu -n "__teu_at ''" -l systemd-cgroup -d 'let systemd make the cgroup; cgroupsPath is SLICE:PREFIX:NAME then'
complete -c teu -n "__teu_at ''" -l rootless -x -a 'true false auto' -d 'do without cgroups and limits that this user may not make (default: auto, for whoever is not root)'
complete -c teu -n "__teu_at ''" -l criu -x -d 'criu\'s program (default: the criu of $PATH)'
complete -c teu -n "__teu_at ''" -l help -s h -d 'show help'
complete -c teu -n "__teu_at ''" -l version -s v -d 'print the version'

complete -c teu -n "__teu_at create" -l bundle -s b -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory with config.json (default: the current one)'
complete -c teu -n "__teu_at create" -l console-socket -r -F -d 'a listening unix socket that gets the master of the container\'s terminal'
complete -c teu -n "__teu_at create" -l pidfd-socket -r -F -d 'a listening unix socket that gets a pidfd of the container\'s first process'
complete -c teu -n "__teu_at create" -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c teu -n "__teu_at create" -l no-pivot -d 'do not use pivot_root; for bundles on the initial ramfs'
complete -c teu -n "__teu_at create" -l no-new-keyring -d 'keep the session keyring of the caller'
complete -c teu -n "__teu_at create" -l preserve-fds -x -d 'pass descriptors 3 to 2+N on to the container (default: 0)'
complete -c teu -n "__teu_at create" -l help -s h -d 'show help'

complete -c teu -n "__teu_at run" -l bundle -s b -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory with config.json (default: the current one)'
complete -c teu -n "__teu_at run" -l console-socket -r -F -d 'a listening unix socket that gets the master of the container\'s terminal'
complete -c teu -n "__teu_at run" -l detach -s d -d 'do not wait for the container'
complete -c teu -n "__teu_at run" -l keep -d 'do not delete the container when it ends'
complete -c teu -n "__teu_at run" -l pidfd-socket -r -F -d 'a listening unix socket that gets a pidfd of the container\'s first process'
complete -c teu -n "__teu_at run" -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c teu -n "__teu_at run" -l no-pivot -d 'do not use pivot_root; for bundles on the initial ramfs'
complete -c teu -n "__teu_at run" -l no-new-keyring -d 'keep the session keyring of the caller'
complete -c teu -n "__teu_at run" -l preserve-fds -x -d 'pass descriptors 3 to 2+N on to the container (default: 0)'
complete -c teu -n "__teu_at run" -l help -s h -d 'show help'

complete -c teu -n "__teu_at start" -l help -s h -d 'show help'

complete -c teu -n "__teu_at exec" -l console-socket -r -F -d 'a listening unix socket that gets the master of the container\'s terminal'
complete -c teu -n "__teu_at exec" -l pidfd-socket -r -F -d 'a listening unix socket that gets a pidfd of the container\'s first process'
complete -c teu -n "__teu_at exec" -l cwd -x -a '(__fish_complete_directories (commandline -ct))' -d 'working directory'
complete -c teu -n "__teu_at exec" -l env -s e -x -d 'set an environment variable (may be repeated)'
complete -c teu -n "__teu_at exec" -l tty -s t -d 'give it a terminal'
complete -c teu -n "__teu_at exec" -l user -s u -x -d 'user id, and group id'
complete -c teu -n "__teu_at exec" -l additional-gids -s g -x -d 'a supplementary group (may be repeated)'
complete -c teu -n "__teu_at exec" -l process -s p -r -F -d 'take the process from FILE, the `process` of a config.json'
complete -c teu -n "__teu_at exec" -l detach -s d -d 'do not wait for the process'
complete -c teu -n "__teu_at exec" -l pid-file -r -F -d 'write the pid of the process to FILE'
complete -c teu -n "__teu_at exec" -l process-label -x -d 'SELinux label of the process'
complete -c teu -n "__teu_at exec" -l apparmor -x -d 'AppArmor profile of the process'
complete -c teu -n "__teu_at exec" -l no-new-privs -d 'no further privileges by execve'
complete -c teu -n "__teu_at exec" -l cap -s c -x -d 'a further capability (may be repeated)'
complete -c teu -n "__teu_at exec" -l preserve-fds -x -d 'pass descriptors 3 to 2+N on to the container (default: 0)'
complete -c teu -n "__teu_at exec" -l cgroup -x -d 'put it in a cgroup below the container\'s (may be repeated)'
complete -c teu -n "__teu_at exec" -l ignore-paused -d 'start it in a paused container, to run when that is resumed'
complete -c teu -n "__teu_at exec" -l help -s h -d 'show help'

complete -c teu -n "__teu_at pause" -l help -s h -d 'show help'

complete -c teu -n "__teu_at resume" -l help -s h -d 'show help'

complete -c teu -n "__teu_at ps" -l format -s f -x -a 'table json' -d 'form of the list (default: table)'
complete -c teu -n "__teu_at ps" -l help -s h -d 'show help'

complete -c teu -n "__teu_at update" -l resources -s r -r -F -d 'read `linux.resources` from FILE, or from stdin with -; of the other flags only the schemas count then'
complete -c teu -n "__teu_at update" -l blkio-weight -x -d 'weight of block I/O, 10 to 1000'
complete -c teu -n "__teu_at update" -l cpu-period -x -d 'period of the CPU quota in microseconds'
complete -c teu -n "__teu_at update" -l cpu-quota -x -d 'CPU time in a period in microseconds; -1 for no limit'
complete -c teu -n "__teu_at update" -l cpu-burst -x -d 'CPU time that may be saved up for later, in microseconds'
complete -c teu -n "__teu_at update" -l cpu-share -x -d 'relative weight of CPU time, 1024 as the default'
complete -c teu -n "__teu_at update" -l cpu-rt-period -x -d 'period of real-time scheduling in microseconds'
complete -c teu -n "__teu_at update" -l cpu-rt-runtime -x -d 'real-time CPU time in a period in microseconds'
complete -c teu -n "__teu_at update" -l cpu-idle -x -a '0 1' -d '1: runs only when nobody else wants the CPU'
complete -c teu -n "__teu_at update" -l cpuset-cpus -x -d 'CPUs to run on, as 0-3,7'
complete -c teu -n "__teu_at update" -l cpuset-mems -x -d 'memory nodes to use'
complete -c teu -n "__teu_at update" -l memory -x -d 'limit of memory; k, m, g behind the number, -1 for no limit'
complete -c teu -n "__teu_at update" -l memory-reservation -x -d 'memory kept when the host is short of it'
complete -c teu -n "__teu_at update" -l memory-swap -x -d 'limit of memory and swap together; -1 for no limit'
complete -c teu -n "__teu_at update" -l pids-limit -x -d 'most processes; -1 for no limit'
complete -c teu -n "__teu_at update" -l l3-cache-schema -x -d 'share of the L3 cache for the container\'s class (linux.intelRdt), as L3:0=ff;1=c0'
complete -c teu -n "__teu_at update" -l mem-bw-schema -x -d 'memory bandwidth for the container\'s class, as MB:0=20;1=70'
complete -c teu -n "__teu_at update" -l help -s h -d 'show help'

complete -c teu -n "__teu_at events" -l interval -x -d 'time between two samples, as 500ms or 1m30s (default: 5s)'
complete -c teu -n "__teu_at events" -l stats -d 'print one sample and end'
complete -c teu -n "__teu_at events" -l help -s h -d 'show help'

complete -c teu -n "__teu_at checkpoint" -l image-path -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory of the image files (default: ./checkpoint)'
complete -c teu -n "__teu_at checkpoint" -l work-path -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory of criu\'s log and temporary files (default: that of the image files)'
complete -c teu -n "__teu_at checkpoint" -l parent-path -x -a '(__fish_complete_directories (commandline -ct))' -d 'images of an earlier --pre-dump, relative to --image-path'
complete -c teu -n "__teu_at checkpoint" -l leave-running -d 'let the container go on'
complete -c teu -n "__teu_at checkpoint" -l tcp-established -d 'allow established TCP connections'
complete -c teu -n "__teu_at checkpoint" -l tcp-skip-in-flight -d 'leave out TCP connections that are being made'
complete -c teu -n "__teu_at checkpoint" -l link-remap -d 'allow files that were deleted and are still open'
complete -c teu -n "__teu_at checkpoint" -l ext-unix-sk -d 'allow unix sockets whose other end is outside'
complete -c teu -n "__teu_at checkpoint" -l shell-job -d 'allow a terminal that is not the container\'s'
complete -c teu -n "__teu_at checkpoint" -l lazy-pages -d 'move memory only when it is asked for (userfaultfd)'
complete -c teu -n "__teu_at checkpoint" -l status-fd -x -d 'the number of a descriptor that gets a NUL byte when pages can be asked for'
complete -c teu -n "__teu_at checkpoint" -l page-server -x -d 'send memory there instead of into files'
complete -c teu -n "__teu_at checkpoint" -l file-locks -d 'allow file locks'
complete -c teu -n "__teu_at checkpoint" -l pre-dump -d 'write memory only, and let the container go on'
complete -c teu -n "__teu_at checkpoint" -l manage-cgroups-mode -x -a 'soft full strict ignore' -d 'what criu does about cgroups (default: soft)'
complete -c teu -n "__teu_at checkpoint" -l empty-ns -x -d 'make this namespace as new, without what was configured in it'
complete -c teu -n "__teu_at checkpoint" -l auto-dedup -d 'drop pages from images that a later one has as well'
complete -c teu -n "__teu_at checkpoint" -l help -s h -d 'show help'

complete -c teu -n "__teu_at restore" -l bundle -s b -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory with config.json (default: the current one)'
complete -c teu -n "__teu_at restore" -l console-socket -r -F -d 'a listening unix socket that gets the master of the container\'s terminal'
complete -c teu -n "__teu_at restore" -l image-path -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory of the image files (default: ./checkpoint)'
complete -c teu -n "__teu_at restore" -l work-path -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory of criu\'s log and temporary files (default: that of the image files)'
complete -c teu -n "__teu_at restore" -l detach -s d -d 'do not wait for the container'
complete -c teu -n "__teu_at restore" -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c teu -n "__teu_at restore" -l tcp-established -d 'allow established TCP connections'
complete -c teu -n "__teu_at restore" -l tcp-close -d 'bring TCP connections back closed'
complete -c teu -n "__teu_at restore" -l ext-unix-sk -d 'allow unix sockets whose other end is outside'
complete -c teu -n "__teu_at restore" -l shell-job -d 'allow a terminal that is not the container\'s'
complete -c teu -n "__teu_at restore" -l file-locks -d 'allow file locks'
complete -c teu -n "__teu_at restore" -l manage-cgroups-mode -x -a 'soft full strict ignore' -d 'what criu does about cgroups (default: soft)'
complete -c teu -n "__teu_at restore" -l empty-ns -x -d 'make this namespace as new, without what was configured in it'
complete -c teu -n "__teu_at restore" -l auto-dedup -d 'drop pages from images that a later one has as well'
complete -c teu -n "__teu_at restore" -l lazy-pages -d 'move memory only when it is asked for (userfaultfd)'
complete -c teu -n "__teu_at restore" -l lsm-profile -x -d 'label of the processes instead of the one that they had'
complete -c teu -n "__teu_at restore" -l lsm-mount-context -x -d 'SELinux context of the mounts'
complete -c teu -n "__teu_at restore" -l no-pivot -d 'do not use pivot_root; for bundles on the initial ramfs'
complete -c teu -n "__teu_at restore" -l help -s h -d 'show help'

complete -c teu -n "__teu_at state" -l help -s h -d 'show help'

complete -c teu -n "__teu_at kill" -l all -s a -d 'send it to every process of the container'
complete -c teu -n "__teu_at kill" -l help -s h -d 'show help'

complete -c teu -n "__teu_at delete" -l force -s f -d 'kill the container if it runs, and succeed if it does not exist'
complete -c teu -n "__teu_at delete" -l help -s h -d 'show help'

complete -c teu -n "__teu_at list" -l format -s f -x -a 'table json' -d 'form of the list (default: table)'
complete -c teu -n "__teu_at list" -l quiet -s q -d 'print ids only'
complete -c teu -n "__teu_at list" -l help -s h -d 'show help'

complete -c teu -n "__teu_at spec" -l bundle -s b -x -a '(__fish_complete_directories (commandline -ct))' -d 'where to write config.json (default: here)'
complete -c teu -n "__teu_at spec" -l rootless -d 'for a container of the user who calls this'
complete -c teu -n "__teu_at spec" -l help -s h -d 'show help'

complete -c teu -n "__teu_at features" -l help -s h -d 'show help'

complete -c teu -n "__teu_at plan" -l bundle -s b -x -a '(__fish_complete_directories (commandline -ct))' -d 'the directory with config.json (default: the current one)'
complete -c teu -n "__teu_at plan" -l format -s f -x -a 'text json' -d 'form of the plan (default: text)'
complete -c teu -n "__teu_at plan" -l console-socket -r -F -d 'a listening unix socket that gets the master of the container\'s terminal'
complete -c teu -n "__teu_at plan" -l pidfd-socket -r -F -d 'a listening unix socket that gets a pidfd of the container\'s first process'
complete -c teu -n "__teu_at plan" -l pid-file -r -F -d 'write the pid of the container\'s first process to FILE'
complete -c teu -n "__teu_at plan" -l no-pivot -d 'do not use pivot_root; for bundles on the initial ramfs'
complete -c teu -n "__teu_at plan" -l no-new-keyring -d 'keep the session keyring of the caller'
complete -c teu -n "__teu_at plan" -l preserve-fds -x -d 'pass descriptors 3 to 2+N on to the container (default: 0)'
complete -c teu -n "__teu_at plan" -l help -s h -d 'show help'

complete -c teu -n "__teu_at help" -l help -s h -d 'show help'

complete -c teu -n "__teu_at ''" -a create -d 'make a container that waits for `start`'
complete -c teu -n "__teu_at_operand help 1" -a create -d 'make a container that waits for `start`'
complete -c teu -n "__teu_at ''" -a run -d 'create and start a container'
complete -c teu -n "__teu_at_operand help 1" -a run -d 'create and start a container'
complete -c teu -n "__teu_at ''" -a start -d 'execute the program of a created container'
complete -c teu -n "__teu_at_operand help 1" -a start -d 'execute the program of a created container'
complete -c teu -n "__teu_at ''" -a exec -d 'run a further process in a container'
complete -c teu -n "__teu_at_operand help 1" -a exec -d 'run a further process in a container'
complete -c teu -n "__teu_at ''" -a pause -d 'stop all processes of a container until `resume`'
complete -c teu -n "__teu_at_operand help 1" -a pause -d 'stop all processes of a container until `resume`'
complete -c teu -n "__teu_at ''" -a resume -d 'let a paused container go on'
complete -c teu -n "__teu_at_operand help 1" -a resume -d 'let a paused container go on'
complete -c teu -n "__teu_at ''" -a ps -d 'list the processes of a container'
complete -c teu -n "__teu_at_operand help 1" -a ps -d 'list the processes of a container'
complete -c teu -n "__teu_at ''" -a update -d 'change the limits of a container'
complete -c teu -n "__teu_at_operand help 1" -a update -d 'change the limits of a container'
complete -c teu -n "__teu_at ''" -a events -d 'print what a container uses, and notices of the OOM killer'
complete -c teu -n "__teu_at_operand help 1" -a events -d 'print what a container uses, and notices of the OOM killer'
complete -c teu -n "__teu_at ''" -a checkpoint -d 'write the processes of a container to files'
complete -c teu -n "__teu_at_operand help 1" -a checkpoint -d 'write the processes of a container to files'
complete -c teu -n "__teu_at ''" -a restore -d 'make a container from what checkpoint has written'
complete -c teu -n "__teu_at_operand help 1" -a restore -d 'make a container from what checkpoint has written'
complete -c teu -n "__teu_at ''" -a state -d 'print the state of a container as JSON'
complete -c teu -n "__teu_at_operand help 1" -a state -d 'print the state of a container as JSON'
complete -c teu -n "__teu_at ''" -a kill -d 'send a signal to a container\'s first process'
complete -c teu -n "__teu_at_operand help 1" -a kill -d 'send a signal to a container\'s first process'
complete -c teu -n "__teu_at ''" -a delete -d 'remove a container and all that was made for it'
complete -c teu -n "__teu_at_operand help 1" -a delete -d 'remove a container and all that was made for it'
complete -c teu -n "__teu_at ''" -a list -d 'list the containers of the state root'
complete -c teu -n "__teu_at_operand help 1" -a list -d 'list the containers of the state root'
complete -c teu -n "__teu_at ''" -a spec -d 'write a config.json to start from'
complete -c teu -n "__teu_at_operand help 1" -a spec -d 'write a config.json to start from'
complete -c teu -n "__teu_at ''" -a features -d 'print what this runtime supports as JSON'
complete -c teu -n "__teu_at_operand help 1" -a features -d 'print what this runtime supports as JSON'
complete -c teu -n "__teu_at ''" -a plan -d 'print what `create` would do, without doing it'
complete -c teu -n "__teu_at_operand help 1" -a plan -d 'print what `create` would do, without doing it'
complete -c teu -n "__teu_at ''" -a help -d 'show help'
complete -c teu -n "__teu_at_operand help 1" -a help -d 'show help'

complete -c teu -n '__teu_at_operand start 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand exec 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand pause 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand resume 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand ps 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand update 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand events 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand checkpoint 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand state 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand kill 1' -a '(__teu_containers)'
complete -c teu -n '__teu_at_operand kill 2' -a 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'
complete -c teu -n '__teu_at_operand delete 1' -a '(__teu_containers)'
