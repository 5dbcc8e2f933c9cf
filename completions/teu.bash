# Completion of bash for teu. Made from the tables of the command line by scripts/manuals.

_teu_commands='create run start exec pause resume ps update events checkpoint restore state kill delete list spec features plan help'
_teu_signals='HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS'

# The flags of a command, or of the program.
_teu_flags() {
    case $1 in
        '') echo '--root --log --log-format --log-level --debug --systemd-cgroup --rootless --criu -h --help -v --version' ;;
        'create') echo '-b --bundle --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds -h --help' ;;
        'run') echo '-b --bundle --console-socket -d --detach --keep --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds -h --help' ;;
        'start') echo '-h --help' ;;
        'exec') echo '--console-socket --pidfd-socket --cwd -e --env -t --tty -u --user -g --additional-gids -p --process -d --detach --pid-file --process-label --apparmor --no-new-privs -c --cap --preserve-fds --cgroup --ignore-paused -h --help' ;;
        'pause') echo '-h --help' ;;
        'resume') echo '-h --help' ;;
        'ps') echo '-f --format -h --help' ;;
        'update') echo '-r --resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit --l3-cache-schema --mem-bw-schema -h --help' ;;
        'events') echo '--interval --stats -h --help' ;;
        'checkpoint') echo '--image-path --work-path --parent-path --leave-running --tcp-established --tcp-skip-in-flight --link-remap --ext-unix-sk --shell-job --lazy-pages --status-fd --page-server --file-locks --pre-dump --manage-cgroups-mode --empty-ns --auto-dedup -h --help' ;;
        'restore') echo '-b --bundle --console-socket --image-path --work-path -d --detach --pid-file --tcp-established --tcp-close --ext-unix-sk --shell-job --file-locks --manage-cgroups-mode --empty-ns --auto-dedup --lazy-pages --lsm-profile --lsm-mount-context --no-pivot -h --help' ;;
        'state') echo '-h --help' ;;
        'kill') echo '-a --all -h --help' ;;
        'delete') echo '-f --force -h --help' ;;
        'list') echo '-f --format -q --quiet -h --help' ;;
        'spec') echo '-b --bundle --rootless -h --help' ;;
        'features') echo '-h --help' ;;
        'plan') echo '-b --bundle -f --format --console-socket --pidfd-socket --pid-file --no-pivot --no-new-keyring --preserve-fds -h --help' ;;
        'help') echo '-h --help' ;;
    esac
}

# What the value of a flag is; nothing when it has none.
_teu_value() {
    case $1:$2 in
        :--root) echo directory ;;
        :--log) echo file ;;
        :--log-format) echo 'text json' ;;
        :--log-level) echo 'error warning info debug' ;;
        :--rootless) echo 'true false auto' ;;
        :--criu) echo nothing ;;
        create:-b | create:--bundle) echo directory ;;
        create:--console-socket) echo file ;;
        create:--pidfd-socket) echo file ;;
        create:--pid-file) echo file ;;
        create:--preserve-fds) echo nothing ;;
        run:-b | run:--bundle) echo directory ;;
        run:--console-socket) echo file ;;
        run:--pidfd-socket) echo file ;;
        run:--pid-file) echo file ;;
        run:--preserve-fds) echo nothing ;;
        exec:--console-socket) echo file ;;
        exec:--pidfd-socket) echo file ;;
        exec:--cwd) echo directory ;;
        exec:-e | exec:--env) echo nothing ;;
        exec:-u | exec:--user) echo nothing ;;
        exec:-g | exec:--additional-gids) echo nothing ;;
        exec:-p | exec:--process) echo file ;;
        exec:--pid-file) echo file ;;
        exec:--process-label) echo nothing ;;
        exec:--apparmor) echo nothing ;;
        exec:-c | exec:--cap) echo nothing ;;
        exec:--preserve-fds) echo nothing ;;
        exec:--cgroup) echo nothing ;;
        ps:-f | ps:--format) echo 'table json' ;;
        update:-r | update:--resources) echo file ;;
        update:--blkio-weight) echo nothing ;;
        update:--cpu-period) echo nothing ;;
        update:--cpu-quota) echo nothing ;;
        update:--cpu-burst) echo nothing ;;
        update:--cpu-share) echo nothing ;;
        update:--cpu-rt-period) echo nothing ;;
        update:--cpu-rt-runtime) echo nothing ;;
        update:--cpu-idle) echo '0 1' ;;
        update:--cpuset-cpus) echo nothing ;;
        update:--cpuset-mems) echo nothing ;;
        update:--memory) echo nothing ;;
        update:--memory-reservation) echo nothing ;;
        update:--memory-swap) echo nothing ;;
        update:--pids-limit) echo nothing ;;
        update:--l3-cache-schema) echo nothing ;;
        update:--mem-bw-schema) echo nothing ;;
        events:--interval) echo nothing ;;
        checkpoint:--image-path) echo directory ;;
        checkpoint:--work-path) echo directory ;;
        checkpoint:--parent-path) echo directory ;;
        checkpoint:--status-fd) echo nothing ;;
        checkpoint:--page-server) echo nothing ;;
        checkpoint:--manage-cgroups-mode) echo 'soft full strict ignore' ;;
        checkpoint:--empty-ns) echo nothing ;;
        restore:-b | restore:--bundle) echo directory ;;
        restore:--console-socket) echo file ;;
        restore:--image-path) echo directory ;;
        restore:--work-path) echo directory ;;
        restore:--pid-file) echo file ;;
        restore:--manage-cgroups-mode) echo 'soft full strict ignore' ;;
        restore:--empty-ns) echo nothing ;;
        restore:--lsm-profile) echo nothing ;;
        restore:--lsm-mount-context) echo nothing ;;
        list:-f | list:--format) echo 'table json' ;;
        spec:-b | spec:--bundle) echo directory ;;
        plan:-b | plan:--bundle) echo directory ;;
        plan:-f | plan:--format) echo 'text json' ;;
        plan:--console-socket) echo file ;;
        plan:--pidfd-socket) echo file ;;
        plan:--pid-file) echo file ;;
        plan:--preserve-fds) echo nothing ;;
    esac
}

# The ids of the containers in the state root that the line names.
_teu_containers() {
    local root=${2/#\~\//$HOME/}
    # Nothing is made by asking, and a state root would be.
    [[ -z $root || -d $root ]] || return
    "${1/#\~\//$HOME/}" ${root:+--root "$root"} list --quiet 2>/dev/null
}

_teu() {
    local command='' root='' flag='' operands=0 word i current=${COMP_WORDS[COMP_CWORD]}
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # Readline splits --flag=VALUE at the sign.
        if [[ $word == = ]]; then
            flag=${flag:-=}
        elif [[ -n $flag ]]; then
            [[ $flag == --root && -z $command ]] && root=$word
            flag=
        elif [[ $word == -?* ]]; then
            # One dash is as good as two.
            [[ $word == -[!-]?* ]] && word=-$word
            [[ -n $(_teu_value "$command" "$word") ]] && flag=$word
        elif [[ -z $command ]]; then
            command=$word
        else
            operands=$((operands + 1))
        fi
    done
    if [[ $current == = ]]; then
        flag=${flag:-=}
        current=
    fi

    local words=''
    if [[ $flag == = ]]; then
        words='true false'
    elif [[ -n $flag ]]; then
        case $(_teu_value "$command" "$flag") in
            directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$current"); return ;;
            file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
            nothing) return ;;
            *) words=$(_teu_value "$command" "$flag") ;;
        esac
    elif [[ $command == exec && $operands -gt 0 ]]; then
        return
    elif [[ $current == -* ]]; then
        words=$(_teu_flags "$command")
    elif [[ -z $command ]]; then
        words=$_teu_commands
    else
        case $command:$operands in
            help:0) words=$_teu_commands ;;
            kill:1) words=$_teu_signals ;;
            start:0 | exec:0 | pause:0 | resume:0 | ps:0 | update:0 | events:0 | checkpoint:0 | state:0 | kill:0 | delete:0) words=$(_teu_containers "${COMP_WORDS[0]}" "$root") ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _teu teu
