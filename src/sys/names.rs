//! The name databases of the system: passwd, group, services, protocols, hosts.

use nix::unistd::{AccessFlags, Gid, Group, Uid, access, getgrouplist};
use socket2::SockAddr;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Held while an answer of the C library lies in its one buffer, until it is copied.
static BUFFER: Mutex<()> = Mutex::new(());

/// An entry of passwd(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: OsString,
    pub uid: u32,
    pub gid: u32,
}

impl From<nix::unistd::User> for User {
    fn from(user: nix::unistd::User) -> Self {
        Self { name: user.name.into(), uid: user.uid.as_raw(), gid: user.gid.as_raw() }
    }
}

/// getpwnam(3); `None` also for names that are no UTF-8.
#[must_use]
pub fn user_by_name(name: &OsStr) -> Option<User> {
    nix::unistd::User::from_name(name.to_str()?).ok().flatten().map(User::from)
}

/// The entry of a system account in `/etc/passwd` itself. Such accounts are local, and asking
/// for one that is missing would load every name service there is into this process for good.
#[must_use]
pub fn local_user(name: &str) -> Option<User> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(User { name: name.into(), uid, gid })
    };
    std::fs::read_to_string("/etc/passwd").ok()?.lines().find_map(entry)
}

/// getpwuid(3)
#[must_use]
pub fn user_by_uid(uid: u32) -> Option<User> {
    nix::unistd::User::from_uid(Uid::from_raw(uid)).ok().flatten().map(User::from)
}

/// getgrnam(3)
#[must_use]
pub fn group_by_name(name: &OsStr) -> Option<u32> {
    Group::from_name(name.to_str()?).ok().flatten().map(|group| group.gid.as_raw())
}

/// getgrouplist(3): `gid` and every group that lists `user`. Only `gid` when that fails.
#[must_use]
pub fn groups_of(user: &OsStr, gid: u32) -> Vec<u32> {
    let Ok(name) = CString::new(user.as_bytes()) else { return vec![gid] };
    let groups = getgrouplist(&name, Gid::from_raw(gid));
    groups.map_or_else(|_| vec![gid], |groups| groups.into_iter().map(Gid::as_raw).collect())
}

/// getservbyname(3): the port of `service` for `protocol`.
#[must_use]
pub fn port(service: &str, protocol: &str) -> Option<u16> {
    let (service, protocol) = (CString::new(service).ok()?, CString::new(protocol).ok()?);
    let _turn = BUFFER.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: both arguments are NUL-terminated and outlive the call, which keeps neither.
    // The call writes a buffer of its own kind that is shared by the whole process: nothing
    // else in this crate calls it (servent), and `BUFFER` makes the callers here take turns.
    let found = unsafe { libc::getservbyname(service.as_ptr(), protocol.as_ptr()) };
    // SAFETY: `found` is null or points to a whole `servent` that stays as it is until the
    // next call; there is none before `_turn` ends, and the reference ends before that.
    let number = unsafe { found.as_ref() }?.s_port;
    // An int whose two meaningful bytes are in network order: ntohs(3) of its low half.
    u16::try_from(number).ok().map(u16::from_be)
}

/// The number of `name`, or of the protocol that has it as an alias, in protocols(5).
///
/// Read from the file: nobody keeps protocols elsewhere, and getprotobyname(3) would cost
/// two `unsafe` blocks.
#[must_use]
pub fn protocol(name: &str) -> Option<i32> {
    let text = std::fs::read("/etc/protocols").ok()?;
    protocol_in(&String::from_utf8_lossy(&text), name)
}

fn protocol_in(text: &str, name: &str) -> Option<i32> {
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let (official, number) = (words.next()?, words.next()?);
        let found = official == name || words.any(|alias| alias == name);
        found.then(|| number.parse().ok())?
    })
}

/// The name of the host that has `address`, by getnameinfo(3); `None`: it has none. Waits for
/// name servers, for as long as resolver(5) says.
///
/// # Errors
/// When there is no telling: no answer, no memory.
pub fn of_address(address: IpAddr) -> io::Result<Option<String>> {
    let address = SockAddr::from(SocketAddr::new(address, 0));
    let mut name = [0_u8; libc::NI_MAXHOST as usize];
    // SAFETY: `address` has as many bytes as it says, `name` has the size that is given; both
    // outlive the call. No buffer for a service and the size 0: none is written.
    let outcome = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            name.as_mut_ptr().cast(),
            libc::NI_MAXHOST,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    match outcome {
        0 => {
            let name = CStr::from_bytes_until_nul(&name).map_err(io::Error::other)?;
            Ok(name.to_str().ok().map(str::to_owned))
        }
        libc::EAI_NONAME => Ok(None),
        _ => Err(io::Error::other("no answer from the resolver")),
    }
}

/// access(2) with `X_OK`: executable for this process; a directory passes.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    access(path, AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_address_has_a_name() {
        assert_eq!(of_address([127, 0, 0, 1].into()).unwrap().as_deref(), Some("localhost"));
    }

    #[test]
    fn protocols_are_found_by_name_and_alias() {
        let text = "# protocols\nip\t0\tIP\t# internet\ntcp 6 TCP\nbroken\nudp 17 # UDPX\n";
        for (name, number) in
            [("tcp", Some(6)), ("TCP", Some(6)), ("udp", Some(17)), ("UDPX", None), ("tcp6", None)]
        {
            assert_eq!(protocol_in(text, name), number, "{name}");
        }
    }
}
