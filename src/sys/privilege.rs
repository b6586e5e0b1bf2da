//! Giving privilege up: users, groups, capabilities, and the proof that nothing is left.

use nix::unistd::{Gid, Uid, geteuid, setgid, setuid};

use crate::sys::Errno;

/// Whether the effective uid is 0.
#[must_use]
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// A capability by its number in capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Kill = 5,
    SetGid = 6,
    SetUid = 7,
}

/// Whether a capability is in force. Root in a container may lack some.
#[must_use]
pub fn has(capability: Capability) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    // Without /proc: what is usual.
    effective.map_or_else(is_root, |set| set & (1 << capability as u64) != 0)
}

/// Whether group lists can be set: with CAP_SETGID, except in a user namespace that somebody
/// without privilege has made, which has no other users either (user_namespaces(7)).
#[must_use]
pub fn may_set_groups() -> bool {
    let answer = std::fs::read_to_string("/proc/self/setgroups");
    has(Capability::SetGid) && !answer.is_ok_and(|answer| answer.trim() == "deny")
}

/// The effective uid and gid.
#[must_use]
pub fn own_ids() -> (u32, u32) {
    (geteuid().as_raw(), nix::unistd::getegid().as_raw())
}

/// setgroups(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: setgroups reads `len` gid_t (u32) values from the slice, which outlives the call.
    let result = unsafe { libc::setgroups(groups.len(), groups.as_ptr()) };
    Errno::result(result).map(drop)
}

/// setgid(2).
///
/// # Errors
/// `EPERM` without CAP_SETGID.
pub fn set_gid(gid: u32) -> Result<(), Errno> {
    setgid(Gid::from_raw(gid))
}

/// setuid(2).
///
/// # Errors
/// `EPERM` without CAP_SETUID, unless `uid` is the own one.
pub fn set_uid(uid: u32) -> Result<(), Errno> {
    setuid(Uid::from_raw(uid))
}

/// Fails when uid 0 could be had back.
///
/// # Errors
/// `EPERM` when becoming root worked, which it must not.
pub fn prove_no_way_back() -> Result<(), Errno> {
    match setuid(Uid::from_raw(0)) {
        Ok(()) => Err(Errno::EPERM),
        Err(_) => Ok(()),
    }
}

/// prctl(PR_SET_NO_NEW_PRIVS).
///
/// # Errors
/// None on Linux 3.5 and later.
pub fn no_new_privileges() -> Result<(), Errno> {
    nix::sys::prctl::set_no_new_privs()
}

/// Empties the bounding set, so that no exec can bring a capability back.
///
/// Without CAP_SETPCAP it stays: then it is `no_new_privs` alone that holds.
///
/// # Errors
/// None in practice.
pub fn drop_bounding_set() -> Result<(), Errno> {
    for capability in 0..64 {
        // SAFETY: PR_CAPBSET_DROP takes an integer and touches no memory of ours.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(result) {
            Ok(_) => {}
            // Past the last one that this kernel knows, or not ours to drop.
            Err(Errno::EINVAL | Errno::EPERM) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The header and the two 32-bit halves that capset(2) reads (capabilities(7), version 3).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Empties the ambient, effective, permitted and inheritable sets.
///
/// # Errors
/// None in practice: giving up is always allowed.
pub fn drop_capabilities() -> Result<(), Errno> {
    // SAFETY: PR_CAP_AMBIENT_CLEAR_ALL takes integers and touches no memory of ours.
    let cleared =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Errno::result(cleared)?;
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapabilityHeader { version: VERSION_3, pid: 0 };
    let sets = [CapabilitySets { effective: 0, permitted: 0, inheritable: 0 }; 2];
    // SAFETY: version 3 makes the kernel read one header and exactly two sets; both are
    // `repr(C)` with the layout of <linux/capability.h> and live until the call returns.
    let result = unsafe {
        libc::syscall(libc::SYS_capset, std::ptr::from_ref(&header), std::ptr::from_ref(&sets))
    };
    Errno::result(result).map(drop)
}

/// Makes the kernel kill this process when its parent dies.
///
/// # Errors
/// None in practice.
pub fn die_with_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
}

/// Undoes [`die_with_parent`].
///
/// # Errors
/// None in practice.
pub fn outlive_parent() -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(None)
}

/// Keeps other processes of the same user out: no ptrace, no core with clients' data.
///
/// # Errors
/// None in practice.
pub fn not_dumpable() -> Result<(), Errno> {
    nix::sys::prctl::set_dumpable(false)
}

/// The name in `ps -o comm` and `pgrep`.
///
/// # Errors
/// None in practice; longer names are cut to 15 bytes by the kernel.
pub fn set_process_name(name: &std::ffi::CStr) -> Result<(), Errno> {
    nix::sys::prctl::set_name(name)
}
