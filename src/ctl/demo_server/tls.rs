//! TLS from the first byte (RFC 8314 section 3), for pop3s and imap4s.

use std::{io, io::Write, net::TcpStream, path::Path, sync::Arc};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{CERTIFICATE_FILE, KEY_FILE};

/// A client's connection, encrypted.
pub(super) type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// Prepares TLS on `stream`; the handshake itself happens at the first read or write.
pub(super) fn accept(stream: TcpStream, directory: &Path) -> io::Result<TlsStream> {
    let chain = CertificateDer::pem_file_iter(directory.join(CERTIFICATE_FILE))
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(directory.join(KEY_FILE)).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|versions| versions.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    let connection = ServerConnection::new(Arc::new(config)).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Says that the end of the stream is meant (RFC 8446 section 6.1).
pub(super) fn close(stream: &mut TlsStream) -> io::Result<()> {
    stream.conn.send_close_notify();
    match stream.flush() {
        // A client that has hung up already does not wait for our alert.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
