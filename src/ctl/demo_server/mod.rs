//! The demo mail server: one POP3 or IMAP4rev1 session on standard input.
//!
//! xinetd hands over the accepted connection as descriptors 0, 1 and 2. The
//! protocols are state machines from a line to an answer; [`wire`] does all
//! reading and writing. Nothing is ever written to standard error, because there
//! it would reach the client.

mod imap4;
mod mailbox;
mod mime;
mod pop3;
mod tls;
mod wire;

use std::{io, net::TcpStream, os::fd::AsFd, path::Path, time::Duration};

use clap::ValueEnum;

use imap4::Imap4;
use pop3::Pop3;
use wire::Session;

/// The one account, and its password.
pub(super) const USER: &str = "demo";
/// The password of [`USER`].
pub(super) const PASSWORD: &str = "demo";

/// Name of the certificate in the directory that `--tls` names.
pub(super) const CERTIFICATE_FILE: &str = "cert.pem";
/// Name of the private key beside it.
pub(super) const KEY_FILE: &str = "key.pem";

/// How long a client may be silent: RFC 1939 section 3 asks for at least ten
/// minutes. (RFC 3501 section 5.4 would give an IMAP client thirty.)
const IDLE_LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    Pop3,
    Imap4,
}

/// Why a session did not come to a good end.
#[derive(Debug)]
pub(super) enum Failure {
    /// Somebody ran the server by hand; the only case in which stderr is not the client.
    NotASocket,
    /// The connection or TLS broke. Nobody is left to tell but the exit status.
    Session,
}

/// Serves the connection on standard input until either side ends it.
pub(super) fn run(protocol: Protocol, tls: Option<&Path>) -> Result<(), Failure> {
    super::end_with_parent();
    let stream = adopt_standard_input().map_err(|_not_a_socket| Failure::NotASocket)?;
    serve(stream, protocol, tls).map_err(|_io| Failure::Session)
}

/// The socket on descriptor 0, with the time limits set, which only a socket takes.
fn adopt_standard_input() -> io::Result<TcpStream> {
    let stream = TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    stream.set_read_timeout(Some(IDLE_LIMIT))?;
    stream.set_write_timeout(Some(IDLE_LIMIT))?;
    Ok(stream)
}

fn serve(mut stream: TcpStream, protocol: Protocol, tls: Option<&Path>) -> io::Result<()> {
    let mut session: Box<dyn Session> = match protocol {
        Protocol::Pop3 => Box::new(Pop3::new()),
        Protocol::Imap4 => Box::new(Imap4::new()),
    };
    match tls {
        None => wire::converse(&mut stream, session.as_mut()),
        Some(directory) => {
            let mut secured = tls::accept(stream, directory)?;
            wire::converse(&mut secured, session.as_mut())?;
            tls::close(&mut secured)
        }
    }
}

/// Whether these are the user and the password of the demo.
fn is_demo(user: &[u8], password: &[u8]) -> bool {
    user == USER.as_bytes() && password == PASSWORD.as_bytes()
}
