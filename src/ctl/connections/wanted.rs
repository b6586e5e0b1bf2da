//! Which sockets are asked for, in netstat's options.

use clap::Args;

use super::inet::{Inet, Transport};
use super::unix::Unix;

#[derive(Clone, Debug, Default, Args)]
pub(super) struct Wanted {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    kinds: Kinds,
    #[command(flatten)]
    family: Family,
}

#[derive(Clone, Debug, Default, Args)]
struct Which {
    /// All sockets of the host, not only those of the daemon
    #[arg(short = 'a', long)]
    all: bool,
    /// Only sockets that clients can come to
    #[arg(short = 'l', long)]
    listening: bool,
}

/// Without one of them: all, or those of the internet if a family is named.
#[derive(Clone, Debug, Default, Args)]
struct Kinds {
    /// TCP
    #[arg(short = 't', long)]
    tcp: bool,
    /// UDP
    #[arg(short = 'u', long)]
    udp: bool,
    /// UNIX domain sockets
    #[arg(short = 'x', long)]
    unix: bool,
}

/// Without one of them: both.
#[derive(Clone, Debug, Default, Args)]
struct Family {
    /// IPv4 only
    #[arg(short = '4', long)]
    ipv4: bool,
    /// IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
}

impl Wanted {
    pub(super) const fn others(&self) -> bool {
        self.which.all
    }

    pub(super) const fn only_servers(&self) -> bool {
        self.which.listening
    }

    pub(super) const fn internet(&self) -> bool {
        let Kinds { tcp, udp, unix } = self.kinds;
        tcp || udp || self.names_a_family() || !unix
    }

    pub(super) const fn unix(&self) -> bool {
        let Kinds { tcp, udp, unix } = self.kinds;
        unix || !(tcp || udp || self.names_a_family())
    }

    const fn names_a_family(&self) -> bool {
        self.family.ipv4 || self.family.ipv6
    }

    /// Whether a socket of the internet is asked for.
    pub(super) fn has(&self, socket: &Inet) -> bool {
        let (kinds, family) = (&self.kinds, &self.family);
        let by_transport = match socket.transport {
            Transport::Tcp => kinds.tcp || !kinds.udp,
            Transport::Udp => kinds.udp || !kinds.tcp,
        };
        let by_family = match socket.local.is_ipv4() {
            true => family.ipv4 || !family.ipv6,
            false => family.ipv6 || !family.ipv4,
        };
        let listens = !self.only_servers() || socket.listens();
        self.internet() && by_transport && by_family && listens
    }

    /// Whether a socket of unix(7) is asked for.
    pub(super) const fn has_unix(&self, socket: &Unix) -> bool {
        self.unix() && (!self.only_servers() || socket.listens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::connections::inet::tests::between;

    #[test]
    fn options_are_combined_as_netstat_does_it() {
        let sockets = [
            between(Transport::Tcp, "1.2.3.4:1", "1.2.3.4:2", 1),
            between(Transport::Tcp, "[::]:1", "[::]:0", 10),
            between(Transport::Udp, "1.2.3.4:1", "0.0.0.0:0", 7),
            between(Transport::Udp, "[::1]:1", "[::1]:2", 1),
        ];
        for (options, has, unix) in [
            ("", "tcp tcp6 udp udp6", true),
            ("-t", "tcp tcp6", false),
            ("-tu", "tcp tcp6 udp udp6", false),
            ("-x", "", true),
            ("-tx", "tcp tcp6", true),
            ("-4", "tcp udp", false),
            ("-46", "tcp tcp6 udp udp6", false),
            ("-6t", "tcp6", false),
            ("-4x", "tcp udp", true),
            ("-l", "tcp6 udp", true),
            ("-lu", "udp", false),
        ] {
            #[derive(clap::Parser)]
            struct Line {
                #[command(flatten)]
                wanted: Wanted,
            }
            let words = ["x", options].into_iter().filter(|word| !word.is_empty());
            let Line { wanted } = clap::Parser::parse_from(words);
            let found = sockets.iter().filter(|socket| wanted.has(socket)).map(Inet::protocol);
            assert_eq!(found.collect::<Vec<_>>().join(" "), has, "{options}");
            assert_eq!((wanted.internet(), wanted.unix()), (!has.is_empty(), unix), "{options}");
        }
    }
}
