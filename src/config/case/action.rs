//! What becomes of a connection, and as whom.

use std::ffi::OsString;
use std::path::Path;

use crate::config::case::Case;
use crate::config::case::socket::Transport;
use crate::config::code;
use crate::config::draft::{Account, Draft};
use crate::config::near::did_you_mean;
use crate::config::value::{Flag, ServiceType};
use crate::diag::Diagnostic;
use crate::plan::{Action, Credentials, Groups, Internal, Libwrap, Program, Protocol, SocketType};

impl Case<'_> {
    /// CHK-3, CHK-7, CHK-17: a sensor needs neither server nor user, an internal service
    /// neither, a redirected one only the user.
    pub(super) fn action(&mut self, transport: Option<&Transport>) -> Option<Action> {
        let draft = self.draft;
        let internal = draft.is(ServiceType::Internal);
        if draft.flag(Flag::Sensor).is_some() {
            if !internal && draft.server.is_none() {
                let spec = "leaves a SENSOR without `type = INTERNAL` and without `server` out";
                let span = draft.flag(Flag::Sensor).unwrap_or(self.name.span);
                self.notes.push(Diagnostic::difference("CHK-17", span, spec));
            }
            let credentials = self.credentials();
            return Some(Action::Sensor { deny: draft.deny_time.unwrap_or_default(), credentials });
        }
        if internal {
            let service = self.internal(transport?.socket_type)?;
            return Some(Action::Internal { service, credentials: self.credentials() });
        }
        if draft.is_redirected() {
            let credentials = self.required_credentials();
            return Some(Action::Redirect {
                target: draft.redirect.clone()?,
                credentials: credentials?,
            });
        }
        let (program, credentials) = (self.program(), self.required_credentials());
        Some(Action::Start { program: program?, credentials: credentials? })
    }

    /// Whether the daemon itself does the work.
    pub(super) fn is_internal(&self) -> bool {
        self.draft.is(ServiceType::Internal) || self.is_sensor()
    }

    pub(super) fn is_sensor(&self) -> bool {
        self.draft.flag(Flag::Sensor).is_some()
    }

    /// CHK-7
    fn internal(&mut self, socket_type: SocketType) -> Option<Internal> {
        let name = self.name.text();
        let found = Internal::ALL.iter().find(|(known, _)| *known == name).map(|(_, which)| *which);
        let found = found.filter(|which| match (socket_type, which) {
            (SocketType::Stream, _) => true,
            (SocketType::Dgram, which) => !which.needs_connection(),
            (SocketType::Raw | SocketType::SeqPacket, _) => false,
        });
        if found.is_none() {
            let word = socket_type.word();
            let names = Internal::ALL.iter().map(|(name, _)| *name);
            let message = format!("there is no internal {word} service `{name}`");
            let help = "the internal services are echo, discard, chargen, daytime, time, tcpmux, \
                        services and servers";
            let help = did_you_mean(&name, names).unwrap_or_else(|| help.to_owned());
            let note = Diagnostic::error(code::UNKNOWN_INTERNAL, self.name.span, message)
                .help(help)
                .legacy(format!("No such internal service: {name}/{word} - DISABLING"));
            self.notes.push(note);
        }
        if found.is_some_and(Internal::is_listing) {
            let deed = "has no such internal service since 2.3.12, and leaves it out";
            self.notes.push(Diagnostic::difference("CHK-7", self.name.span, deed));
        }
        found
    }

    /// Whether it is one of the internal services that tell about the daemon.
    pub(super) fn is_listing(&self) -> bool {
        let name = self.name.text();
        let known = || Internal::ALL.iter().find(|(known, _)| *known == name);
        self.draft.is(ServiceType::Internal) && known().is_some_and(|(_, which)| which.is_listing())
    }

    /// SRV-3, SRV-4; ATTR-49: the flag may stand before or after the words.
    fn program(&mut self) -> Option<Program> {
        let draft = self.draft;
        let words = draft.server_args.iter().cloned();
        let place = |attribute| draft.place(attribute).map(|span| (span.file, span.start));
        if let Some(span) = draft.flag(Flag::NameInArgs)
            && place("server_args").is_some_and(|args| place("flags") > Some(args))
        {
            let deed = "crashes for each client, because NAMEINARGS stands after `server_args`";
            self.notes.push(Diagnostic::difference("ATTR-49", span, deed));
        }
        if let Some(span) = draft.flag(Flag::NameInArgs)
            && draft.server_args.is_empty()
            && !draft.refused.contains(&"server_args")
        {
            let message = "NAMEINARGS needs `server_args`: their first word is the name";
            let legacy =
                format!("Service {} has NAMEINARGS flag set and no server_args", self.name.text());
            self.notes.push(Diagnostic::error(code::NEEDS_ANOTHER, span, message).legacy(legacy));
        }
        let Some(path) = draft.server.clone() else {
            self.missing("server");
            return None;
        };
        let argv: Vec<OsString> = if draft.flag(Flag::NameInArgs).is_some() {
            words.collect()
        } else {
            let name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
            std::iter::once(name).chain(words).collect()
        };
        Some(Program { path, argv })
    }

    fn required_credentials(&mut self) -> Option<Credentials> {
        if self.draft.user.is_none() {
            self.missing("user");
        }
        self.credentials()
    }

    /// SRV-12, SRV-13
    fn credentials(&self) -> Option<Credentials> {
        let draft = self.draft;
        let wanted = draft.groups.or(self.defaults.draft.groups) == Some(true);
        Some(match draft.user.as_ref()? {
            Account::Known(user) => Credentials {
                uid: user.uid,
                gid: draft.group.unwrap_or(user.gid),
                groups: match wanted {
                    true => Groups::List(self.lookup.groups_of(user, user.gid)),
                    false => Groups::None,
                },
            },
            Account::Number(number) => Credentials {
                uid: *number,
                gid: draft.group.unwrap_or(*number),
                groups: if wanted { Groups::Unknown } else { Groups::None },
            },
        })
    }

    /// WRAP-2, WRAP-4: the name that hosts.allow and hosts.deny know the service by.
    pub(super) fn libwrap(&self) -> Libwrap {
        let draft = self.draft;
        let rpc_over_tcp = draft.is(ServiceType::Rpc)
            && draft.protocol.as_ref().map_or_else(
                || draft.socket_type.is_some_and(|at| at.value == SocketType::Stream),
                |at| at.value.number == Protocol::TCP,
            );
        if draft.flag(Flag::NoLibwrap).is_some() || rpc_over_tcp || self.is_unix_only() {
            return Libwrap::Off;
        }
        let given = draft.libwrap.clone();
        let own = || (self.is_internal() || draft.is_redirected()).then(|| self.name.text().into());
        let name = given.or_else(own).or_else(|| server_name(draft));
        Libwrap::Daemon(name.unwrap_or_else(|| self.name.text().into_owned()))
    }
}

/// The last component of what is started, as the server itself is told (WRAP-2).
fn server_name(draft: &Draft) -> Option<String> {
    let path = match draft.flag(Flag::NameInArgs) {
        Some(_) => draft.server_args.first().map(Path::new),
        None => draft.server.as_deref(),
    };
    path?.file_name().map(|name| name.to_string_lossy().into_owned())
}
