//! What does not hold any more when a server gets the socket itself: `wait = yes`.

use crate::config::case::Case;
use crate::config::code;
use crate::config::value::Flag;
use crate::diag::{Diagnostic, Span};
use crate::plan::{Limit, LogField, Service, SocketType, Wait};

/// The way out.
const INTERCEPT: &str = "`flags = INTERCEPT` in xinetd.conf has every one of them checked";

impl Case<'_> {
    /// Says what is not in force because the server accepts or reads by itself (ACC-7, ACC-9).
    pub(super) fn is_out_of_sight(&mut self, service: &Service) {
        if !service.lends_its_socket() {
            return;
        }
        match (service.socket_type, service.wait == Wait::Intercepted) {
            (SocketType::Stream, false) => self.nobody_is_checked(service),
            (SocketType::Dgram, false) => self.the_first_is_checked(service),
            (_, true) => self.only_addresses_are_checked(service),
            (SocketType::Raw | SocketType::SeqPacket, false) => {}
        }
        self.nothing_is_shown(service);
        let asks = service.log.on_success.has(LogField::UserId);
        if let Some(span) = self.draft.flag(Flag::IdOnly).filter(|_| asks) {
            let message = "IDONLY is NOT in force: nobody is asked with `wait = yes`";
            let note = Diagnostic::warning(code::NO_EFFECT, span, message);
            self.notes.push(note.not_in_force(Some("IDONLY")));
        }
    }

    /// The address lists that the service has, with the place of each; those of `defaults` are
    /// shown at the service.
    fn lists(&self, service: &Service) -> Vec<(&'static str, Span)> {
        let lists =
            [("only_from", &service.policy.only_from), ("no_access", &service.policy.no_access)];
        let given = lists.into_iter().filter(|(_, list)| list.is_some());
        given.map(|(name, _)| (name, self.draft.place(name).unwrap_or(self.name.span))).collect()
    }

    /// ACC-7
    fn nobody_is_checked(&mut self, service: &Service) {
        for (name, span) in self.lists(service) {
            let message = format!(
                "`{name}` is NOT in force: with `wait = yes` the server accepts connections itself"
            );
            let note = Diagnostic::warning(code::NO_EFFECT, span, message)
                .help(INTERCEPT)
                .not_in_force(Some(name));
            let deed = "refuses every client, and starts a server again and again";
            let differs = name == "only_from";
            self.notes.push(if differs { note.differs("ACC-7", deed) } else { note });
        }
        if matches!(service.policy.per_source, Limit::Max(1..)) {
            let span = self.draft.place("per_source").unwrap_or(self.name.span);
            let message =
                "`per_source` is NOT in force: with `wait = yes` nobody can say who connects";
            let note = Diagnostic::warning(code::NO_EFFECT, span, message);
            self.notes.push(note.not_in_force(Some("per_source")));
        }
    }

    /// ACC-9
    fn the_first_is_checked(&mut self, service: &Service) {
        for (name, span) in self.lists(service) {
            let message = format!(
                "`{name}` is asked about the sender of the first datagram only: while its server \
                 runs it gets those of everybody"
            );
            let note = Diagnostic::note(code::NO_EFFECT, span, message);
            self.notes.push(note.help(INTERCEPT));
        }
    }

    /// INT-1: the kernel checks, and it knows no names.
    fn only_addresses_are_checked(&mut self, service: &Service) {
        if service.sockets.iter().any(|socket| socket.address.ip().is_none())
            && let Some(span) = self.draft.flag(Flag::Intercept)
        {
            let message = "INTERCEPT checks addresses, and clients of a unix socket have none";
            self.notes.push(Diagnostic::error(code::CONTRADICTION, span, message));
        }
        let lists =
            [("only_from", &service.policy.only_from), ("no_access", &service.policy.no_access)];
        for (attribute, list) in lists {
            let Some(name) = list.as_ref().and_then(|list| list.names().first()) else { continue };
            let span = self.draft.place(attribute).unwrap_or(self.name.span);
            let message =
                format!("INTERCEPT checks addresses only, and `{name}` of `{attribute}` is a name");
            let note = Diagnostic::error(code::CONTRADICTION, span, message)
                .help("write the addresses or networks that it stands for");
            self.notes.push(note);
        }
    }

    fn nothing_is_shown(&mut self, service: &Service) {
        let banners = &service.banners;
        let all = [
            ("banner", &banners.always),
            ("banner_success", &banners.success),
            ("banner_fail", &banners.fail),
        ];
        for (name, _) in all.into_iter().filter(|(_, path)| path.is_some()) {
            let span = self.draft.place(name).unwrap_or(self.name.span);
            let message =
                format!("`{name}` is not shown: with `wait = yes` there is no connection");
            self.notes.push(Diagnostic::warning(code::NO_EFFECT, span, message));
        }
    }
}
