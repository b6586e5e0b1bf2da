//! The name of a socket in the store: `xinetd/NUMBER/MARKS/ID`. The service manager shows it
//! (`systemd-analyze fdstore`), and the next daemon learns from it what the kernel does not say.

use std::fmt;

use crate::monitor::inherited::Inherited;
use crate::monitor::intercept;
use crate::monitor::services::Listener;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::sys::socket_file::SocketFile;

/// No name of a socket unit begins so (`FileDescriptorName=`), unless somebody means it.
const OURS: &str = "xinetd";

/// FDNAME_MAX of systemd is 255; that leaves room for the rest.
const LONGEST_ID: usize = 128;

/// What stands in such a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    /// No other socket has it.
    pub number: u32,
    /// Servers get the socket.
    is_lent: bool,
    /// It has had a filter since it was bound.
    is_guarded: bool,
    /// The system has chosen its port (RPC-1).
    is_chosen: bool,
    /// Device and inode of its file. As long as the socket is open no other file has them.
    file: Option<(u64, u64)>,
    /// Of the service that has opened it, as far as it fits.
    id: String,
}

impl Label {
    pub(super) fn new(number: u32, service: &Service, listener: &Listener) -> Self {
        Self {
            number,
            is_lent: listener.key.is_lent,
            is_guarded: intercept::is_wanted(service),
            is_chosen: listener.has_chosen_port(),
            file: listener.file.as_ref().map(|file| file.identity()),
            id: shown(&service.id),
        }
    }

    /// `None`: the socket is not one of ours.
    pub(super) fn read(name: &str) -> Option<Self> {
        let mut parts = name.splitn(4, '/');
        let is_ours = parts.next()? == OURS;
        let number = parts.next()?.parse().ok()?;
        let marks: Vec<_> = parts.next()?.split(',').collect();
        let file = marks.iter().find_map(|mark| {
            let (device, inode) = mark.strip_prefix("file=")?.split_once('.')?;
            Some((device.parse().ok()?, inode.parse().ok()?))
        });
        let has = |mark| marks.contains(&mark);
        is_ours.then_some(Self {
            number,
            is_lent: has("lent"),
            is_guarded: has("guarded"),
            is_chosen: has("chosen"),
            file,
            id: parts.next()?.to_owned(),
        })
    }

    /// Whether `service` may have it: a port that was chosen is for the same service alone.
    pub(super) fn is_of(&self, service: &Service, is_chosen: bool) -> bool {
        self.is_lent == service.lends_its_socket()
            && self.is_guarded == intercept::is_wanted(service)
            && self.is_chosen == is_chosen
            && (!is_chosen || self.id == shown(&service.id))
    }

    /// Its file, if that is still there.
    pub(super) fn file_of(&self, socket: &Inherited) -> Option<SocketFile> {
        SocketFile::take_over(socket.address.file()?, self.file?)
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = |is_so: bool, word: &str| is_so.then(|| word.to_owned());
        let marks = [
            mark(self.is_lent, "lent"),
            mark(self.is_guarded, "guarded"),
            mark(self.is_chosen, "chosen"),
            self.file.map(|(device, inode)| format!("file={device}.{inode}")),
        ];
        let marks: Vec<_> = marks.into_iter().flatten().collect();
        write!(f, "{OURS}/{}/{}/{}", self.number, marks.join(","), self.id)
    }
}

/// As a name may have it: printable ASCII without a colon.
fn shown(id: &ServiceId) -> String {
    let fits = |c: char| if matches!(c, ' '..='~') && c != ':' { c } else { '?' };
    id.0.chars().take(LONGEST_ID).map(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(id: &str) -> Label {
        let (number, file, id) = (17, Some((2049, u64::MAX)), shown(&ServiceId(id.into())));
        Label { number, is_lent: true, is_guarded: false, is_chosen: true, file, id }
    }

    #[test]
    fn a_name_says_all_of_it_again() {
        let plain = Label { is_lent: false, is_chosen: false, file: None, ..label("pop3") };
        for (label, name) in [
            (label("a/b"), "xinetd/17/lent,chosen,file=2049.18446744073709551615/a/b"),
            (plain, "xinetd/17//pop3"),
        ] {
            assert_eq!(label.to_string(), name);
            assert_eq!(Label::read(name), Some(label));
        }
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for name in ["pop3", "xinetd.socket", "xinetd/pop3", "xinetd/1/pop3", "mail/1//x", ""] {
            assert_eq!(Label::read(name), None, "{name}");
        }
    }

    #[test]
    fn a_service_manager_takes_any_name() {
        let name = label(&"\u{e4}:\n\u{7f}".repeat(300)).to_string();
        assert!(name.len() <= 255 && name.bytes().all(|byte| (32..127).contains(&byte)));
        assert!(!name.contains(':'), "{name}");
    }
}
