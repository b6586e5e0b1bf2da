//! What the operator asks for.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::control::VERSION;

/// The one line that a client sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`], as the client knows it.
    pub version: u32,
    pub command: Command,
}

/// A question or an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The daemon, its services, and those that it left out.
    Status,
    /// How these services are.
    Services(Services),
    /// Everybody who is being served.
    Sessions,
    /// End sessions; answered by those that have been told to.
    Kill(Whom),
    /// Let nobody in: clients wait in the queue of the socket. This order and the next two are
    /// answered by the services, as they are then.
    Pause(Services),
    /// Let nobody in: clients are refused; whoever is served may finish.
    Drain(Services),
    /// Let clients in again.
    Resume(Services),
    /// Lock an address out of every service.
    Deny {
        address: IpAddr,
        /// Without the field for ever.
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// Let it in again.
    Undeny { address: IpAddr },
    /// Who is locked out.
    Denied,
    /// Read the files again; answered when all of it is in force.
    Reload {
        /// Whether notes are for a terminal with colours; without the field they are a line each.
        #[serde(default)]
        colour: Option<bool>,
    },
}

/// Services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Services {
    /// All that are in force now.
    All {},
    /// By their ids or names.
    Named(Vec<String>),
}

/// Sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// By their ids.
    Sessions(Vec<u64>),
    /// All of a service.
    Service(String),
    /// All of a client, as a session has it.
    Peer(String),
}

/// Why a line is no request.
#[derive(Debug)]
pub enum Rejected {
    Version(u32),
    Malformed(serde_json::Error),
}

impl Request {
    /// A request in the words of this version.
    #[must_use]
    pub const fn new(command: Command) -> Self {
        Self { version: VERSION, command }
    }

    /// The request that `line` is.
    ///
    /// # Errors
    /// When it is of another version, or not JSON of this form: also with a field too many, for
    /// an order must not do more than was meant.
    pub fn parse(line: &[u8]) -> Result<Self, Rejected> {
        /// What every version has.
        #[derive(Deserialize)]
        struct Envelope {
            version: u32,
        }
        let envelope: Envelope = serde_json::from_slice(line).map_err(Rejected::Malformed)?;
        if envelope.version != VERSION {
            return Err(Rejected::Version(envelope.version));
        }
        serde_json::from_slice(line).map_err(Rejected::Malformed)
    }

    /// As a line.
    #[must_use]
    pub fn line(&self) -> String {
        super::line(self)
    }
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Version(version) => {
                write!(f, "version {version} of the protocol is not spoken here, only {VERSION}")
            }
            Self::Malformed(cause) => write!(f, "this is no request: {cause}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_survives_its_line() {
        let commands = [
            Command::Status,
            Command::Services(Services::Named(vec!["a".to_owned()])),
            Command::Sessions,
            Command::Kill(Whom::Sessions(vec![1, u64::MAX])),
            Command::Kill(Whom::Peer("192.0.2.1".to_owned())),
            Command::Deny { address: [192, 0, 2, 1].into(), seconds: Some(1) },
            Command::Pause(Services::All {}),
            Command::Drain(Services::Named(vec!["a".to_owned(), "b".to_owned()])),
            Command::Reload { colour: Some(true) },
        ];
        for command in commands {
            let request = Request::new(command);
            assert_eq!(Request::parse(request.line().as_bytes()).unwrap(), request);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>, at: usize, byte: u8) {
            let _rejected = Request::parse(&bytes);
            // Nearly a request.
            let mut line = Request::new(Command::Reload { colour: None }).line().into_bytes();
            let at = at % line.len();
            line[at] = byte;
            if let Ok(request) = Request::parse(&line) {
                prop_assert_eq!(Request::parse(request.line().as_bytes()).unwrap(), request);
            }
        }
    }

    #[test]
    fn what_is_not_exactly_a_request_is_none() {
        let lines = [
            "",
            "status",
            r#"{"version":1}"#,
            r#"{"version":1,"command":"statu"}"#,
            r#"{"version":1,"command":"status","more":1}"#,
            r#"{"version":1,"command":{"reload":{"file":"/etc/shadow"}}}"#,
            r#"{"version":1,"command":"status"} {}"#,
            r#"{"version":1,"command":{"pause":{"all":{"but":"a"}}}}"#,
            r#"{"version":1,"command":{"deny":{"address":"localhost"}}}"#,
            r#"{"version":1,"command":{"deny":{"address":"::1","second":1}}}"#,
            r#"{"version":1,"command":{"kill":{}}}"#,
            r#"{"version":1,"command":{"kill":{"service":"a","peer":"::1"}}}"#,
            r#"{"version":1,"command":{"kill":{"sessions":[-1]}}}"#,
        ];
        for line in lines {
            let rejected = Request::parse(line.as_bytes()).unwrap_err();
            assert!(matches!(rejected, Rejected::Malformed(_)), "{line}: {rejected}");
        }
        let rejected = Request::parse(br#"{"version":2,"command":{"fly":[]}}"#).unwrap_err();
        assert!(matches!(rejected, Rejected::Version(2)), "{rejected}");
    }
}
