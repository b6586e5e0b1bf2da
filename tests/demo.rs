//! `xinetctl` as a process: the demo server on a socket, and the demo without a daemon.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::disallowed_methods, reason = "a test starts the program it tests")]

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const XINETCTL: &str = env!("CARGO_BIN_EXE_xinetctl");

const POP3_SESSION: &str = "CAPA\r\nUSER demo\r\nPASS demo\r\nSTAT\r\nRETR 1\r\nQUIT\r\n";
const IMAP4_SESSION: &str = "1 LOGIN {4}\r\ndemo {4+}\r\ndemo\r\n2 SELECT INBOX\r\n\
    3 FETCH 1:* (FLAGS ENVELOPE)\r\n4 LOGOUT\r\n";

/// Starts a demo server as xinetd does: the connection is its descriptors 0, 1 and 2.
fn server(args: &[&str]) -> (UnixStream, Child) {
    let (client, server) = UnixStream::pair().unwrap();
    let copy = || Stdio::from(OwnedFd::from(server.try_clone().unwrap()));
    let mut command = Command::new(XINETCTL);
    command.arg("demo-server").args(args).stdin(copy()).stdout(copy()).stderr(copy());
    (client, command.spawn().unwrap())
}

fn talk(mut stream: impl Read + Write, words: &str) -> String {
    stream.write_all(words.as_bytes()).unwrap();
    let mut heard = String::new();
    stream.read_to_string(&mut heard).unwrap();
    heard
}

fn assert_pop3(heard: &str) {
    assert!(heard.starts_with("+OK xinetd-rs demo POP3"), "{heard}");
    assert!(heard.contains("\r\n+OK 3 ") && heard.contains("\r\nSubject: "), "{heard}");
    assert!(heard.ends_with("\r\n.\r\n+OK goodbye\r\n"), "{heard}");
}

fn assert_imap4(heard: &str) {
    assert!(heard.starts_with("* OK [CAPABILITY IMAP4rev1 "), "{heard}");
    assert!(
        heard.contains("\r\n* 3 EXISTS\r\n") && heard.contains("* 3 FETCH (FLAGS ()"),
        "{heard}"
    );
    assert!(heard.ends_with("* BYE the demo forgets you now\r\n4 OK goodbye\r\n"), "{heard}");
}

#[test]
fn pop3_is_spoken_on_the_socket() {
    let (client, mut child) = server(&["pop3"]);
    assert_pop3(&talk(client, POP3_SESSION));
    assert!(child.wait().unwrap().success());
}

#[test]
fn imap4_is_spoken_on_the_socket() {
    let (client, mut child) = server(&["imap4"]);
    assert_imap4(&talk(client, IMAP4_SESSION));
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_client_that_hangs_up_ends_the_server_in_peace() {
    let (client, mut child) = server(&["imap4"]);
    client.shutdown(Shutdown::Write).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_without_end_ends_the_session() {
    let (mut client, mut child) = server(&["pop3"]);
    client.write_all(&[b'x'; 8300]).unwrap();
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert!(heard.ends_with("-ERR that line is too long\r\n"), "{heard}");
    assert!(child.wait().unwrap().success());
}

/// A client that trusts the certificate in `directory` and nothing else.
fn secured(stream: UnixStream, directory: &Path) -> StreamOwned<ClientConnection, UnixStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(directory.join("cert.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

#[test]
fn both_protocols_are_spoken_over_tls_and_end_with_close_notify() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.path().join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(directory.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let tls = directory.path().to_str().unwrap();

    let (client, mut child) = server(&["pop3", "--tls", tls]);
    // Without close_notify reading to the end would fail.
    assert_pop3(&talk(secured(client, directory.path()), POP3_SESSION));
    assert!(child.wait().unwrap().success());

    let (client, mut child) = server(&["imap4", "--tls", tls]);
    assert_imap4(&talk(secured(client, directory.path()), IMAP4_SESSION));
    assert!(child.wait().unwrap().success());
}

#[test]
fn without_a_certificate_nothing_is_said_and_the_status_tells() {
    let directory = tempfile::tempdir().unwrap();
    let (mut client, mut child) = server(&["pop3", "--tls", directory.path().to_str().unwrap()]);
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert!(heard.is_empty());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn run_by_hand_the_server_says_who_should_run_it() {
    let output =
        Command::new(XINETCTL).args(["demo-server", "pop3"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("xinetctl demo"));
}

#[test]
fn a_daemon_that_ends_by_itself_is_reported_and_leaves_no_files() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("xinetd");
    fs::write(&script, "#!/bin/sh\necho 'bind failed' >&2\nexit 3\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&script, mode).unwrap();
    let files = directory.path().join("files");
    fs::create_dir(&files).unwrap();
    let output = Command::new(XINETCTL)
        .args(["demo", "--xinetd"])
        .arg(&script)
        .env("TMPDIR", &files)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("(exit status: 3)") && said.contains("| bind failed"), "{said}");
    assert_eq!(fs::read_dir(&files).unwrap().count(), 0);
}
