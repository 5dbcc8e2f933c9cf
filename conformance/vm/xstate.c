/*
 * Loaded before the C library of User-Mode Linux, on a host whose CPU has more state than that kernel has room for.
 *
 * The kernel keeps a fixed number of bytes of the extended state (XSAVE) of a process, and gives them back with
 * PTRACE_SETREGSET. The host takes nothing but the whole state (xstateregs_set() in arch/x86/kernel/fpu/regset.c), and
 * with AMX that is 11 KiB: every process would be killed at its first instruction. Here the bytes that are missing are
 * added, as the process has them. Later kernels ask the host for the size (host_fp_size).
 */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <linux/ptrace.h> /* not sys/ptrace.h, which declares ptrace with variable arguments */
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Not on the stack: the kernel's stacks have 16 KiB. One thread traces, so one is enough. */
static char state[64 << 10] __attribute__((aligned(64)));

static long set_xstate(pid_t pid, const struct iovec *part) {
    struct iovec whole = {state, sizeof(state)};
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &whole) < 0)
        return -1;
    if (part->iov_len < whole.iov_len)
        memcpy(state, part->iov_base, part->iov_len);
    else
        whole = *part;
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &whole);
}

/* As in ptrace(2) of the C library. */
long ptrace(int request, pid_t pid, unsigned long addr, void *data) {
    long word, result;
    if (request == PTRACE_SETREGSET && addr == NT_X86_XSTATE)
        return set_xstate(pid, data);
    if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSR) {
        result = syscall(SYS_ptrace, request, pid, addr, &word);
        if (result < 0)
            return result;
        errno = 0;
        return word;
    }
    return syscall(SYS_ptrace, request, pid, addr, data);
}
