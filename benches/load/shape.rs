//! The files to be read: many services that differ in name and port, in one file or in many.

use std::{fmt::Write as _, fs, path::PathBuf};

use nix::unistd::{User, geteuid};
use tempfile::TempDir;

use crate::Result;

/// How the services are spread.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    OneFile,
    Directory,
}

/// Files on disk, as long as this lives.
pub(crate) struct Stage {
    pub(crate) main: PathBuf,
    pub(crate) dir: TempDir,
}

impl Shape {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::OneFile => "one file",
            Self::Directory => "includedir",
        }
    }

    pub(crate) fn write(self, services: usize) -> Result<Stage> {
        let dir = tempfile::tempdir()?;
        let user = User::from_uid(geteuid())?.ok_or("the user has no name")?.name;
        let parts = dir.path().join("d");
        fs::create_dir(&parts)?;
        let mut text = "defaults\n{\n\tlog_on_failure = HOST\n}\n".to_owned();
        for number in 0..services {
            let entry = entry(number, &user)?;
            match self {
                Self::OneFile => text += &entry,
                Self::Directory => fs::write(parts.join(format!("s{number}")), entry)?,
            }
        }
        if let Self::Directory = self {
            writeln!(text, "includedir {}", parts.display())?;
        }
        let main = dir.path().join("main");
        fs::write(&main, text)?;
        Ok(Stage { main, dir })
    }
}

/// A loopback address that nothing else uses, and another one where the ports run out.
fn entry(number: usize, user: &str) -> Result<String> {
    const PORTS: usize = 50_000;
    let (host, port) = (1 + number / PORTS, 10_000 + number % PORTS);
    let mut text = format!("service s{number}\n{{\n\ttype = UNLISTED\n\tport = {port}\n");
    writeln!(text, "\tbind = 127.77.0.{host}\n\tsocket_type = stream\n\tprotocol = tcp")?;
    writeln!(text, "\twait = no\n\tuser = {user}\n\tserver = /bin/cat\n\tserver_args = -u")?;
    writeln!(text, "\tonly_from = 127.0.0.1 192.0.2.0/24\n\tlog_on_success = HOST PID\n}}")?;
    Ok(text)
}
