//! A short-lived process without privilege that tells rpcbind(8) what the monitor wants it to
//! know, and answers with its exit status.
//!
//! The connection is inherited: rpcbind asks the kernel who has connected, and that was the
//! monitor (docs/adr/0011-rpc-registration.md). Whoever waits too long for rpcbind is killed, so
//! nothing here has a time limit.

mod wire;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use crate::ipc::RPCBIND_CONNECTION;
use crate::ipc::{Deed, Errand, Outcome};
use crate::sys::fd;
use crate::sys::privilege;
use crate::sys::sandbox;
use wire::Procedure;

/// Carries out the errands that `words` are.
#[must_use]
pub fn run(words: &[OsString]) -> ExitCode {
    let errands: Option<Vec<_>> = words.iter().map(|word| Errand::parse(word)).collect();
    let prepared = privilege::set_process_name(c"xinetd-rpcbind")
        .and_then(|()| privilege::not_dumpable())
        .and_then(|()| fd::adopt(RPCBIND_CONNECTION));
    let (Some(errands), Ok(connection)) = (errands, prepared) else {
        return ExitCode::FAILURE;
    };
    let _whatever_the_kernel_has = sandbox::confine();
    let mut rpcbind = Rpcbind { connection: File::from(connection), last_call: 0 };
    ExitCode::from(rpcbind.hear_all(&errands).unwrap_or_else(|trouble| trouble).status())
}

/// The other end of the connection.
struct Rpcbind<C> {
    connection: C,
    /// The number of the last call (`xid`).
    last_call: u32,
}

impl<C: Read + Write> Rpcbind<C> {
    /// # Errors
    /// The outcome, when there is no use in going on.
    fn hear_all(&mut self, errands: &[Errand]) -> Result<Outcome, Outcome> {
        let (mut is_any_set, mut is_any_refused) = (false, false);
        for errand in errands {
            for version in errand.versions.clone() {
                match errand.deed {
                    // That nothing was registered is as well.
                    Deed::Unset => drop(self.call(Procedure::Unset, errand, version)?),
                    Deed::Set => {
                        let is_set = self.set(errand, version)?;
                        is_any_set |= is_set;
                        is_any_refused |= !is_set;
                    }
                }
            }
        }
        Ok(match (is_any_set, is_any_refused) {
            (_, false) => Outcome::Done,
            (true, true) => Outcome::Partly,
            (false, true) => Outcome::Refused,
        })
    }

    /// rpcbind refuses what is registered with another address already. That is what a daemon
    /// that was killed has left behind, or who serves the program has changed: the last one has
    /// it.
    fn set(&mut self, errand: &Errand, version: u32) -> Result<bool, Outcome> {
        Ok(self.call(Procedure::Set, errand, version)?
            || self.call(Procedure::Unset, errand, version)?
                && self.call(Procedure::Set, errand, version)?)
    }

    fn call(
        &mut self,
        procedure: Procedure,
        errand: &Errand,
        version: u32,
    ) -> Result<bool, Outcome> {
        self.last_call = self.last_call.wrapping_add(1);
        let call = wire::call(self.last_call, procedure, errand, version);
        self.connection.write_all(&call).map_err(|_| Outcome::Unreachable)?;
        let reply = wire::read_record(&mut self.connection);
        let is_nonsense = |cause: io::Error| cause.kind() == io::ErrorKind::InvalidData;
        let reply = reply.map_err(|cause| match is_nonsense(cause) {
            true => Outcome::Nonsense,
            false => Outcome::Unreachable,
        })?;
        wire::granted(&reply, self.last_call).ok_or(Outcome::Nonsense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// An rpcbind that says these words, and remembers what it was asked: procedure, version.
    struct Script {
        replies: VecDeque<u8>,
        heard: Vec<(u32, u32)>,
    }

    impl Script {
        fn new(answers: &[u32]) -> Rpcbind<Self> {
            let reply = |(number, answer): (u32, &u32)| {
                let words = [0x8000_001c, number, 1, 0, 0, 0, 0, *answer];
                words.into_iter().flat_map(u32::to_be_bytes)
            };
            let replies = (1..).zip(answers).flat_map(reply).collect();
            Rpcbind { connection: Self { replies, heard: Vec::new() }, last_call: 0 }
        }
    }

    impl Read for Script {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.replies.read(buffer)
        }
    }

    impl Write for Script {
        fn write(&mut self, call: &[u8]) -> io::Result<usize> {
            let word = |at: usize| u32::from_be_bytes(call[at * 4..][..4].try_into().unwrap());
            self.heard.push((word(6), word(12)));
            Ok(call.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn errand(deed: Deed) -> Errand {
        let (netid, address) = ("tcp".to_owned(), "0.0.0.0.8.1".to_owned());
        Errand { deed, program: 100_001, versions: 2..=3, netid, address }
    }

    const SET: u32 = 1;
    const UNSET: u32 = 2;

    #[test]
    fn rpc_1_each_version_is_set() {
        let mut rpcbind = Script::new(&[1, 1]);
        assert_eq!(rpcbind.hear_all(&[errand(Deed::Set)]), Ok(Outcome::Done));
        assert_eq!(rpcbind.connection.heard, [(SET, 2), (SET, 3)]);
    }

    #[test]
    fn what_is_registered_with_another_address_is_replaced() {
        let mut rpcbind = Script::new(&[0, 1, 1, 1]);
        assert_eq!(rpcbind.hear_all(&[errand(Deed::Set)]), Ok(Outcome::Done));
        assert_eq!(rpcbind.connection.heard, [(SET, 2), (UNSET, 2), (SET, 2), (SET, 3)]);
    }

    #[test]
    fn what_belongs_to_somebody_else_is_refused() {
        let one_of_two = Script::new(&[0, 0, 1]).hear_all(&[errand(Deed::Set)]);
        assert_eq!(one_of_two, Ok(Outcome::Partly));
        let all = Script::new(&[0, 0, 0, 1, 0]).hear_all(&[errand(Deed::Set)]);
        assert_eq!(all, Ok(Outcome::Refused));
    }

    #[test]
    fn nothing_to_unset_is_as_good_as_done() {
        let done = Script::new(&[0, 1]).hear_all(&[errand(Deed::Unset)]);
        assert_eq!(done, Ok(Outcome::Done));
    }

    #[test]
    fn an_rpcbind_that_hangs_up_or_babbles_is_told_nothing_more() {
        let gone = Script::new(&[1]).hear_all(&[errand(Deed::Set)]);
        assert_eq!(gone, Err(Outcome::Unreachable));
        let babble = Script::new(&[2, 1]).hear_all(&[errand(Deed::Set)]);
        assert_eq!(babble, Err(Outcome::Nonsense));
    }
}
