//! RFC 1413: what the client's host says about whose connection this is.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::plan::NoId;

/// The port of RFC 1413.
const PORT: u16 = 113;

/// How long the client's host may take (IDENT-1); the original waits for ever with IDONLY.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long TCP wrappers wait for it (hosts_options(5), `rfc931`).
pub(super) const WRAPPERS_PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer, in bytes (HARD-3).
const LONGEST: usize = 1024;

/// Asks about the connection between `client` and `own`, its two ends, from our end of it.
/// The answer is what stands behind `USERID :` (IDENT-2).
pub(super) async fn ask(
    client: SocketAddr,
    own: SocketAddr,
    patience: Duration,
) -> Result<String, NoId> {
    let answer = timeout(patience, exchange(client, own)).await.map_err(|_| NoId::Timeout)??;
    parse(&answer, client.port(), own.port())
}

/// The user's name in an answer, which is what TCP wrappers compare.
pub(super) fn user(answer: &str) -> &str {
    let name = answer.split_once(':').map_or("", |(_, name)| name);
    name.split_ascii_whitespace().next().unwrap_or("unknown")
}

async fn exchange(client: SocketAddr, own: SocketAddr) -> Result<Vec<u8>, NoId> {
    let no_server = |_: io::Error| NoId::NoServer;
    let socket = if client.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(|_| NoId::SystemError)?;
    socket.bind(SocketAddr::new(own.ip(), 0)).map_err(|_| NoId::SystemError)?;
    let stream = socket.connect(SocketAddr::new(client.ip(), PORT)).await.map_err(no_server)?;
    let query = format!("{},{}\r\n", client.port(), own.port());
    send(&stream, query.as_bytes()).await.map_err(|_| NoId::SystemError)?;
    receive(&stream).await.map_err(|_| NoId::NotReceived)
}

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

/// A line, or what came before the end of the stream, or as much as a line may be long.
async fn receive(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; LONGEST];
    while !line.ends_with(b"\n") && line.len() < LONGEST {
        stream.readable().await?;
        match stream.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let come = buffer.get(..count).unwrap_or_default();
                let end = come.iter().position(|byte| *byte == b'\n').map_or(count, |at| at + 1);
                line.extend_from_slice(come.get(..end).unwrap_or_default());
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
            Err(cause) => return Err(cause),
        }
    }
    line.truncate(LONGEST);
    Ok(line)
}

/// `PORT , PORT : USERID : SYSTEM : USER` and CR LF; anything else is no answer.
fn parse(answer: &[u8], client: u16, own: u16) -> Result<String, NoId> {
    let line = answer.strip_suffix(b"\r\n").ok_or(NoId::NotReceived)?;
    let line = String::from_utf8_lossy(line);
    let fields = line.split_once(':').and_then(|(ports, rest)| {
        let (kind, text) = rest.split_once(':')?;
        let (theirs, ours) = ports.split_once(',')?;
        Some(((theirs.trim().parse(), ours.trim().parse()), kind.trim(), text))
    });
    match fields {
        Some(((Ok(theirs), Ok(ours)), kind, text))
            if (theirs, ours) == (client, own)
                && kind == "USERID"
                && !text.trim_start().is_empty() =>
        {
            Ok(text.trim_start().to_owned())
        }
        _ => Err(NoId::BadResponse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_is_about_this_connection_and_ends_in_cr_lf() {
        use NoId::{BadResponse, NotReceived};
        for (answer, wanted) in [
            ("5,9 : USERID : UNIX :joe user\r\n", Ok("UNIX :joe user")),
            (" 5 , 9:USERID:OTHER:x \r\n", Ok("OTHER:x ")),
            ("5,9 : userid : OTHER : x\r\n", Err(BadResponse)),
            ("5,9 : USERID :  \r\n", Err(BadResponse)),
            ("5,8 : USERID : UNIX : joe\r\n", Err(BadResponse)),
            ("5,9 : ERROR : NO-USER\r\n", Err(BadResponse)),
            ("rubbish\r\n", Err(BadResponse)),
            ("5,9 : USERID\r\n", Err(BadResponse)),
            ("5,9 : USERID : UNIX : joe", Err(NotReceived)),
            ("5,9 : USERID : UNIX : joe\n", Err(NotReceived)),
            ("", Err(NotReceived)),
        ] {
            let found = parse(answer.as_bytes(), 5, 9);
            assert_eq!(found.as_deref().map_err(|why| *why), wanted, "IDENT-2, IDENT-3: {answer}");
        }
    }

    #[test]
    fn the_user_is_the_word_behind_the_system() {
        assert_eq!(user("UNIX :joe user"), "joe");
        assert_eq!((user("UNIX"), user("UNIX : ")), ("unknown", "unknown"));
    }

    proptest! {
        #[test]
        fn whatever_a_host_sends_is_an_answer_or_none(answer: Vec<u8>) {
            let _either = parse(&answer, 5, 9);
        }
    }
}
