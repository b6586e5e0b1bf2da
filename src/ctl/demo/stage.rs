//! The files of a demo: configuration, certificate and key, in a directory of their own.

use std::{
    env, fmt,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
};

use nix::unistd::{self, Uid, User};
use rcgen::{CertificateParams, DnType, KeyPair};

use crate::ctl::demo_server::{CERTIFICATE_FILE, KEY_FILE};

use super::door::{Door, Kind, Security, TARGET};

/// A private directory, removed when the demo is over.
#[derive(Debug)]
pub(super) struct Stage {
    directory: PathBuf,
}

impl Stage {
    /// Makes the directory (0700) and writes everything the daemon will read.
    pub(super) fn set(doors: &[Door]) -> io::Result<Self> {
        // Owned from here on, so that a failure below removes it.
        let stage = Self { directory: make_directory()? };
        let (certificate, key) = make_certificate().map_err(io::Error::other)?;
        stage.write(CERTIFICATE_FILE, &certificate)?;
        stage.write(KEY_FILE, &key)?;
        let configuration = configuration(doors, &stage.directory, &stage.server()?, &user()?);
        stage.write("xinetd.conf", &configuration)?;
        Ok(stage)
    }

    pub(super) fn configuration(&self) -> PathBuf {
        self.directory.join("xinetd.conf")
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.directory.join(CERTIFICATE_FILE)
    }

    /// Where our own daemon is asked.
    pub(super) fn control(&self) -> PathBuf {
        self.directory.join("control")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.directory.join("pid")
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?
            .write_all(text.as_bytes())
    }

    /// The server program: this executable, by a name that a configuration can hold.
    fn server(&self) -> io::Result<String> {
        let executable = env::current_exe()?;
        if let Some(path) = as_word(&executable) {
            return Ok(path.to_owned());
        }
        let link = self.directory.join("xinetctl");
        symlink(executable, &link)?;
        Ok(link.display().to_string())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // What cannot be removed stays private, and there is nobody to tell.
        let _removed = fs::remove_dir_all(&self.directory);
    }
}

/// A path as one word of a configuration, where there are no quotes.
fn as_word(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+~@:,".contains(&byte);
    text.bytes().all(plain).then_some(text)
}

fn make_directory() -> io::Result<PathBuf> {
    let chosen = env::temp_dir();
    let parent = if as_word(&chosen).is_some() { chosen.as_path() } else { Path::new("/tmp") };
    Ok(unistd::mkdtemp(&parent.join("xinetctl-demo.XXXXXX"))?)
}

/// A certificate for this machine as it calls itself, signed by its own key.
fn make_certificate() -> Result<(String, String), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    let key = KeyPair::generate()?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Who we are, by name; containers may run us under a number that has none.
fn user() -> io::Result<String> {
    let uid = Uid::effective();
    Ok(User::from_uid(uid)?.map_or_else(|| uid.to_string(), |user| user.name))
}

/// The configuration in the form of xinetd.conf(5).
fn configuration(doors: &[Door], directory: &Path, server: &str, user: &str) -> String {
    let directory = directory.display();
    let target = doors.iter().find(|door| door.service.name == TARGET);
    let target = target.map_or(0, |door| door.address.port());
    let services = doors.iter().map(|door| {
        let (ip, port) = (door.address.ip(), door.address.port());
        let target = format!("{ip} {target}");
        let args = server_args(door, &directory);
        let mut lines: Vec<(&str, &dyn fmt::Display)> = vec![
            ("flags", &"IPv4"),
            ("socket_type", &"stream"),
            ("protocol", &"tcp"),
            ("wait", &"no"),
            ("bind", ip),
            ("port", &port),
        ];
        lines.extend::<Vec<(&str, &dyn fmt::Display)>>(match door.service.kind {
            Kind::Mail { .. } => vec![
                ("type", &"UNLISTED"),
                ("user", &user),
                ("server", &server),
                ("server_args", &args),
            ],
            Kind::Internal => vec![("type", &"INTERNAL UNLISTED")],
            Kind::Redirect => vec![
                ("type", &"UNLISTED"),
                ("user", &user),
                ("redirect", &target),
                ("log_on_success", &"PID HOST EXIT DURATION TRAFFIC"),
            ],
        });
        section(&format!("service {}", door.service.name), &lines)
    });
    let defaults = section(
        "defaults",
        &[
            ("log_type", &"FILE /dev/stderr"),
            ("log_on_success", &"PID HOST EXIT DURATION"),
            ("log_on_failure", &"HOST"),
            ("instances", &"50"),
        ],
    );
    [defaults].into_iter().chain(services).collect::<Vec<_>>().join("\n")
}

/// What the server of a door is told; the other kinds have none.
fn server_args(door: &Door, directory: &dyn fmt::Display) -> String {
    match door.service.kind {
        Kind::Mail { protocol, security: Security::Plain, .. } => format!("demo-server {protocol}"),
        Kind::Mail { protocol, security: Security::Tls, .. } => {
            format!("demo-server {protocol} --tls {directory}")
        }
        Kind::Internal | Kind::Redirect => String::new(),
    }
}

fn section(title: &str, attributes: &[(&str, &dyn fmt::Display)]) -> String {
    let lines = attributes.iter().map(|(name, value)| format!("    {name:<15}= {value}\n"));
    format!("{title}\n{{\n{}}}\n", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::ctl::demo::door;

    #[test]
    fn the_stage_is_private_and_leaves_nothing() {
        let stage = Stage::set(&door::choose(11_000).unwrap()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let directory = stage.directory.clone();
        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join(KEY_FILE)), 0o600);
        drop(stage);
        assert!(!directory.exists());
    }

    #[test]
    fn every_service_has_its_section() {
        let doors = door::choose(11_000).unwrap();
        let text = configuration(&doors, Path::new("/tmp/x"), "/bin/xinetctl", "me");
        for door in &doors {
            assert!(text.contains(&format!("service {}\n{{\n", door.service.name)));
            assert!(text.contains(&format!("port           = {}\n", door.address.port())));
        }
        assert!(text.contains("= demo-server imap4 --tls /tmp/x\n"));
        assert!(text.contains("= demo-server pop3\n"));
        assert!(text.contains("= INTERNAL UNLISTED\n"));
        assert!(
            text.contains(&format!("redirect       = 127.0.0.1 {}\n", doors[0].address.port()))
        );
    }

    #[test]
    fn only_a_plain_path_is_a_word() {
        assert!(as_word(Path::new("/usr/bin/xinetctl")).is_some());
        assert!(as_word(Path::new("/home/me/my projects/xinetctl")).is_none());
    }
}
