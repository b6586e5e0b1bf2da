//! What sockets of unix(7) change in a service: who may connect is up to their permissions.

use crate::config::case::Case;
use crate::config::code;
use crate::config::value::ServiceType;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Address, FileAccess, Redirect, SocketKey, SocketType};

/// What is about addresses of clients, and in no force for those that have none.
const ABOUT_ADDRESSES: [&str; 3] = ["only_from", "no_access", "libwrap"];

/// What is about files, and has no effect without one.
const ABOUT_FILES: [&str; 3] = ["socket_mode", "socket_user", "socket_group"];

impl Case<'_> {
    /// `socket_mode`, `socket_user`, `socket_group`.
    pub(super) fn file_access(&self) -> FileAccess {
        let (draft, defaults) = (self.draft, &self.defaults.draft);
        let gid = draft.socket_group.or(defaults.socket_group);
        let usual = if gid.is_some() { FileAccess::GROUP } else { FileAccess::OWNER };
        FileAccess {
            mode: draft.socket_mode.or(defaults.socket_mode).unwrap_or(usual),
            uid: draft.socket_user.or(defaults.socket_user),
            gid,
        }
    }

    /// What cannot stand together with a socket of unix(7), or only with one.
    pub(super) fn unix_fits(&mut self, sockets: &[SocketKey]) {
        let unix = sockets.iter().map(|socket| &socket.address);
        let mut unix = unix.filter(|address| matches!(address, Address::Unix(_)));
        let Some(first) = unix.next() else {
            self.has_no_effect(&ABOUT_FILES, "`bind` has no socket in the file system");
            return;
        };
        let span = self.draft.place("bind").unwrap_or(self.name.span);
        if self.draft.is(ServiceType::Rpc) {
            self.contradicts(span, "rpcbind(8) cannot tell clients of a socket in the file system");
        }
        if self.is_sensor() {
            let message = "a SENSOR locks out addresses, and clients of a unix socket have none";
            self.contradicts(span, message);
        }
        if self.draft.socket_type.is_some_and(|at| at.value == SocketType::Dgram)
            && (self.is_internal() || self.draft.is_redirected())
        {
            let message =
                "datagrams of a unix socket need a server: they carry no address to answer";
            self.contradicts(span, message);
        }
        if let Some(Redirect::Unix(target)) = &self.draft.redirect
            && sockets.iter().any(|socket| socket.address.file() == Some(target))
        {
            let span = self.draft.place("redirect").unwrap_or(self.name.span);
            self.contradicts(span, "the service would connect to itself");
        }
        if self.is_unix_only() {
            self.has_no_effect(&["port"], "`bind` has only unix sockets");
        }
        let decides = match first.file() {
            Some(_) => "its permissions decide",
            None => "everybody on this machine may connect",
        };
        let why = format!("does not apply to clients of {first}, who have no address: {decides}");
        for name in ABOUT_ADDRESSES {
            let note = match (self.draft.place(name), self.defaults.draft.place(name)) {
                (Some(span), _) => {
                    Diagnostic::warning(code::NO_EFFECT, span, format!("`{name}` {why}"))
                }
                (None, Some(_)) => {
                    let message = format!("`{name}` of `defaults` {why}");
                    Diagnostic::note(code::NO_EFFECT, self.name.span, message)
                }
                (None, None) => continue,
            };
            self.notes.push(note);
        }
    }

    fn contradicts(&mut self, span: Span, message: &str) {
        let note = Diagnostic::error(code::CONTRADICTION, span, message);
        self.notes.push(note.help("remove the unix socket from `bind`"));
    }

    /// A warning about each of `attributes` that the entry sets.
    fn has_no_effect(&mut self, attributes: &[&str], why: &str) {
        for name in attributes {
            if let Some(span) = self.draft.place(name) {
                let message = format!("`{name}` has no effect: {why}");
                self.notes.push(Diagnostic::warning(code::NO_EFFECT, span, message));
            }
        }
    }
}
