//! The configuration both xinetds read: full behaviour, their own limits out of the way.

use std::path::Path;

/// One service that runs `server` for each connection to `port`.
pub(crate) fn text(port: u16, user: &str, server: &Path, log: &Path, hold: bool) -> String {
    let args = if hold { "    server_args     = hold\n" } else { "" };
    format!(
        "\
defaults
{{
    log_type        = FILE {log}
    log_on_success  = PID HOST EXIT DURATION
    log_on_failure  = HOST
    cps             = 0 0
    instances       = UNLIMITED
    per_source      = UNLIMITED
}}

service bench
{{
    type            = UNLISTED
    socket_type     = stream
    protocol        = tcp
    wait            = no
    user            = {user}
    bind            = 127.0.0.1
    port            = {port}
    server          = {server}
{args}    disable         = no
}}
",
        log = log.display(),
        server = server.display(),
    )
}
