//! Internal services over a connection.

use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::yield_now;

use crate::engine::internal::chargen;
use crate::engine::session::{Traffic, count};

/// Bytes read at once.
const BUFFER: usize = 8192;

/// RFC 862: returns what comes, until the client has no more (INTL-2).
pub(super) async fn echo(mut client: TcpStream, traffic: Rc<Traffic>) {
    let mut buffer = vec![0; BUFFER];
    while let Some(bytes) = read(&mut client, &mut buffer, &traffic).await {
        if client.write_all(bytes).await.is_err() {
            return;
        }
        count(&traffic.sent, bytes.len());
    }
}

/// RFC 863: reads until the client has no more (INTL-2).
pub(super) async fn discard(mut client: TcpStream, traffic: Rc<Traffic>) {
    let mut buffer = vec![0; BUFFER];
    while read(&mut client, &mut buffer, &traffic).await.is_some() {}
}

/// RFC 864: writes the pattern until the client is gone (INTL-5). A client that does not read
/// makes it wait; one that reads fast gets one round of the pattern before others get theirs.
pub(super) async fn chargen(mut client: TcpStream, traffic: Rc<Traffic>) {
    let pattern = chargen::pattern();
    while client.write_all(&pattern).await.is_ok() {
        count(&traffic.sent, pattern.len());
        yield_now().await;
    }
}

/// What the client says next; `None` when it has no more to say, or is gone.
async fn read<'b>(
    client: &mut TcpStream,
    buffer: &'b mut [u8],
    traffic: &Traffic,
) -> Option<&'b [u8]> {
    let length = client.read(buffer).await.ok().filter(|length| *length > 0)?;
    count(&traffic.received, length);
    buffer.get(..length)
}
