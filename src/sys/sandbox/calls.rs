//! The system calls of the engine and of the C library's name services, and what they may ask for.
//!
//! What only other programs' modules for names (nsswitch.conf(5)) need stands under `MODULES`;
//! of the rest a test finds out whether it is still used.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq, Ne};
use seccompiler::{BackendError, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompRule};

/// Calls that may ask for anything.
const USED: &[c_long] = &[
    // Clients, targets, name servers and the monitor.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_splice,
    // Descriptors, banners, rules, hosts(5).
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_newfstatat,
    libc::SYS_pipe2,
    libc::SYS_read,
    libc::SYS_statx,
    libc::SYS_write,
    // The loop.
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_eventfd2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(not(target_arch = "x86_64"))]
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(not(target_arch = "x86_64"))]
    libc::SYS_ppoll,
    // Memory.
    libc::SYS_brk,
    libc::SYS_getrandom,
    libc::SYS_madvise,
    libc::SYS_munmap,
    // Threads that look up names.
    libc::SYS_exit,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_rseq,
    libc::SYS_rt_sigprocmask,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

/// What the kernel or the C library falls back on, or needs when something goes wrong.
const SPARE: &[c_long] = &[
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettimeofday,
    libc::SYS_mremap,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_yield,
];

/// What modules for names are known to use: other ways of the same, and who they are.
const MODULES: &[c_long] = &[
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_epoll_pwait,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_fadvise64,
    libc::SYS_flock,
    libc::SYS_fstat,
    libc::SYS_fstatfs,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getgroups,
    libc::SYS_getppid,
    libc::SYS_getresgid,
    libc::SYS_getresuid,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_membarrier,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pselect6,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_statfs,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_pipe,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_select,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];

/// Of fcntl(2): nothing that has signals sent, nothing that leaves a lease behind.
const FCNTL: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_GETPIPE_SZ,
    libc::F_SETPIPE_SZ,
    libc::F_GET_SEALS,
];

/// Of ioctl(2): FIONBIO, and FIONREAD for the resolver (asm-generic/ioctls.h; `libc` gives them a
/// type by C library).
const IOCTL: &[i32] = &[0x5421, 0x541b];

/// Of setsockopt(2) at the level of sockets: nothing that stays with a listening socket of the
/// monitor when this process is gone, as a filter or a device does. The last three are of modules.
const SOCKET_OPTIONS: &[i32] = &[
    libc::SO_KEEPALIVE,
    libc::SO_LINGER,
    libc::SO_REUSEADDR,
    libc::SO_TIMESTAMPNS,
    libc::SO_PASSCRED,
    libc::SO_RCVTIMEO,
    libc::SO_SNDTIMEO,
];

const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Of prctl(2): ways to leave the monitor in good order, and names of threads and memory.
const PRCTL: &[i32] = &[libc::PR_SET_NAME, libc::PR_SET_PDEATHSIG, libc::PR_SET_VMA];

const WRITING: i32 = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;

/// All rules, by the number of the call.
///
/// # Errors
/// None in practice: when an argument has no such number.
pub(super) fn rules() -> Result<BTreeMap<c_long, Vec<SeccompRule>>, BackendError> {
    let free = [USED, SPARE, MODULES].into_iter().flatten();
    let mut rules: BTreeMap<_, _> = free.map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_clone, vec![only(0, has(libc::CLONE_THREAD))?]);
    rules.insert(libc::SYS_fcntl, one_of(1, FCNTL)?);
    rules.insert(libc::SYS_ioctl, one_of(1, IOCTL)?);
    rules.insert(libc::SYS_mprotect, vec![only(2, lacks(libc::PROT_EXEC))?]);
    // Modules are loaded: memory for writing or for execution, but not for both.
    let memory = vec![only(2, lacks(libc::PROT_EXEC))?, only(2, lacks(libc::PROT_WRITE))?];
    rules.insert(libc::SYS_mmap, memory);
    rules.insert(libc::SYS_openat, vec![only(2, lacks(WRITING))?]);
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_open, vec![only(1, lacks(WRITING))?]);
    rules.insert(libc::SYS_prctl, one_of(0, PRCTL)?);
    // Limits are asked for, not set.
    rules.insert(libc::SYS_prlimit64, vec![only(2, (Qword, Eq, 0))?]);
    // abort(3) signals its own process.
    let own = std::process::id().cast_signed();
    rules.insert(libc::SYS_tgkill, one_of(0, &[own])?);
    let mut options = one_of(2, SOCKET_OPTIONS)?;
    options.push(only(1, (Dword, Ne, bits(libc::SOL_SOCKET)))?);
    rules.insert(libc::SYS_setsockopt, options);
    let mut families = one_of(0, FAMILIES)?;
    families.push(addresses_of_this_host()?);
    rules.insert(libc::SYS_socket, families);
    Ok(rules)
}

/// getaddrinfo(3) asks the kernel which addresses there are.
fn addresses_of_this_host() -> Result<SeccompRule, BackendError> {
    let [family, protocol] = [(0, libc::AF_NETLINK), (2, libc::NETLINK_ROUTE)]
        .map(|(place, value)| condition(place, is(value)));
    SeccompRule::new(vec![family?, protocol?])
}

/// How an argument is compared, and with what.
type Test = (SeccompCmpArgLen, SeccompCmpOp, u64);

/// The kernel looks at the lower half of an `int`.
fn bits(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

fn is(value: i32) -> Test {
    (Dword, Eq, bits(value))
}

fn has(flag: i32) -> Test {
    (Dword, MaskedEq(bits(flag)), bits(flag))
}

fn lacks(flags: i32) -> Test {
    (Dword, MaskedEq(bits(flags)), 0)
}

fn condition(place: u8, test: Test) -> Result<SeccompCondition, BackendError> {
    let (length, operator, value) = test;
    SeccompCondition::new(place, length, operator, value)
}

fn only(place: u8, test: Test) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(place, test)?])
}

fn one_of(place: u8, values: &[i32]) -> Result<Vec<SeccompRule>, BackendError> {
    values.iter().map(|value| only(place, is(*value))).collect()
}
