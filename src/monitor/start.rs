//! The order of start-up, as a list (START-1).

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::{LogFormat, Messages, Options, Stage};
use crate::config;
use crate::diag::wants_colour;
use crate::log::{DaemonLog, Destination, Look, SYSLOG_SOCKET, ServiceLogs};
use crate::monitor::end::FAREWELL;
use crate::monitor::engine_process::Account;
use crate::monitor::inherited;
use crate::monitor::notify::Manager;
use crate::monitor::passed::Passed;
use crate::monitor::pid_file::PidFile;
use crate::monitor::services::{Household, ServerLog};
use crate::monitor::store::Store;
use crate::monitor::{Given, Monitor};
use crate::plan::Facility;
use crate::sys::fd;
use crate::sys::names;
use crate::sys::outlet::Streams;
use crate::sys::privilege;
use crate::sys::privilege::Capability;
use crate::sys::process;
use crate::sys::signal::Signals;
use crate::sys::spawn::Spawner;

/// A daemon that has a log, and nothing else yet.
struct Begun {
    options: Options,
    descriptors: u64,
    start_directory: PathBuf,
    streams: Streams,
    daemon_log: Arc<DaemonLog>,
    passed: Passed,
    store: Store,
    manager: Manager,
}

/// Runs the daemon until it ends.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    let complain = |text: String| {
        writeln!(io::stderr().lock(), "{text}").ok();
        ExitCode::FAILURE
    };
    let begun = match begin(options) {
        Ok(begun) => begun,
        Err(text) => return complain(text),
    };
    let daemon_log = Arc::clone(&begun.daemon_log);
    let status = match start(begun) {
        Ok(mut monitor) => {
            let exit = monitor.serve();
            monitor.finish(exit)
        }
        Err(why) => why.map_or(ExitCode::FAILURE, complain),
    };
    daemon_log.finish(Instant::now() + FAREWELL);
    status
}

/// A word of old versions.
const DEPRECATED: &str = "-shutdownprocs";

/// Whatever fails here or in [`start`] before there is a log is told on stderr.
fn early(what: &str, cause: &dyn std::fmt::Display) -> String {
    format!("xinetd: {what}: {cause}")
}

/// The first half of START-1: descriptors and log.
fn begin(mut options: Options) -> Result<Begun, String> {
    // If process 1 left the work to a child, its end would be the end of the container.
    let must_stay = options.stage == Stage::Background && process::is_first();
    if must_stay {
        options.stage = Stage::Foreground;
        options.stay_alive = true;
    }
    let mut inherited =
        inherited::take().map_err(|e| early("cannot settle inherited descriptors", &e))?;
    let mut manager = Manager::new();
    let store = Store::new(&mut inherited, &mut manager);
    let passed = Passed::new(inherited);
    let streams = match options.stage {
        Stage::Background => Streams::default(),
        Stage::Foreground | Stage::Debug => {
            Streams::keep().map_err(|e| early("cannot keep standard output and error", &e))?
        }
    };
    fd::settle_standard_descriptors(false).map_err(|e| early("cannot open /dev/null", &e))?;
    let descriptors = fd::raise_descriptor_limit().map_err(|e| early("getrlimit", &e))?;
    let start_directory = env::current_dir().unwrap_or_else(|_| "/".into());
    make_paths_absolute(&mut options);
    let daemon_log = open_log(&options, &streams)?;
    if must_stay {
        tracing::info!("process 1 stays in the foreground, as with -dontfork");
    }
    Ok(Begun { options, descriptors, start_directory, streams, daemon_log, passed, store, manager })
}

/// The second half of START-1: signals, environment, umask, detach, pid file, configuration,
/// sockets, working directory, engine. An error has been logged, unless it comes with a text.
fn start(begun: Begun) -> Result<Monitor, Option<String>> {
    let Begun { options, descriptors, start_directory, streams, .. } = begun;
    let Begun { daemon_log, passed, store, manager, .. } = begun;
    let early = |what: &str, cause: &dyn std::fmt::Display| Some(early(what, cause));
    let signals = Signals::take_over().map_err(|e| early("cannot take over signals", &e))?;
    let environment = env::vars_os().collect();
    process::widen_umask();
    regret(&options);
    if options.stage == Stage::Background {
        process::detach().map_err(|e| early("cannot fork", &e))?;
        fd::settle_standard_descriptors(true).map_err(|e| early("cannot open /dev/null", &e))?;
    }
    let pid_file = options.pid_file.clone().and_then(write_pid_file);
    warn_about(&options);
    let account = choose_account();
    let privileged = privilege::is_root() && privilege::may_set_groups();
    let server_log = server_log(options.stage);
    let mishaps = process::mishap_pipe().map_err(|e| early("cannot open a pipe", &e))?;
    let mut monitor = Monitor::new(Given {
        logs: ServiceLogs::new(&options.program, streams),
        options,
        daemon_log,
        household: Household::new(environment, privileged, server_log),
        account,
        start_directory,
        descriptors,
        signals,
        spawner: Spawner::new(!privileged || privilege::has(Capability::Kill)),
        mishaps,
        pid_file,
        passed,
        store,
        manager,
    });
    monitor.open_all()?;
    monitor.open_control();
    env::set_current_dir("/").ok(); // START-9; it is there
    if monitor.options.check_interval > 0 {
        let interval = Duration::from_secs(monitor.options.check_interval);
        monitor.next_check = Instant::now().checked_add(interval);
    }
    monitor.start_engine().map_err(|cause| {
        tracing::error!(critical = true, "cannot start the engine: {cause}");
        None
    })?;
    Ok(monitor)
}

/// START-10: what is relative means the directory of the start, also on a reload.
pub(super) fn make_paths_absolute(options: &mut Options) {
    let fix = |path: &mut PathBuf| {
        if let Ok(fixed) = absolute(&*path) {
            *path = fixed;
        }
    };
    fix(&mut options.config);
    options.pid_file.as_mut().map(fix);
    options.control.as_mut().map(fix);
    if let Messages::File(path) = &mut options.messages {
        fix(path);
    }
}

fn open_log(options: &Options, streams: &Streams) -> Result<Arc<DaemonLog>, String> {
    let (destination, complaint) = destination(options);
    let is_verbose = options.stage == Stage::Debug;
    let log = DaemonLog::open(&options.program, destination, is_verbose, streams);
    let log = Arc::new(log.map_err(|cause| {
        format!("{}: msg_init failed: can't open log file: {cause}", options.program)
    })?);
    // Fails only when one is set already, which nothing else does.
    let _ = tracing::subscriber::set_global_default(Arc::clone(&log));
    if let Some(text) = complaint {
        tracing::error!("{text}");
    }
    Ok(log)
}

/// CLI-3 to CLI-6, CLI-22; a complaint is for the log that is chosen.
fn destination(options: &Options) -> (Destination, Option<String>) {
    let wants_json = options.log_format == Some(LogFormat::Json);
    let json_or = |look| if wants_json { Look::Json } else { look };
    let person = || Look::Person { colour: wants_colour(&io::stderr()) };
    let destination = match &options.messages {
        _ if options.stage == Stage::Debug => Destination::Stderr(json_or(person())),
        Messages::File(path) => Destination::File(path.clone(), json_or(Look::File)),
        Messages::Syslog(name) => match config::facility(name) {
            Some(facility) => Destination::Syslog(facility),
            None => {
                let complaint = format!("Bad syslog facility: {name}");
                return (Destination::Syslog(Facility::Daemon), Some(complaint));
            }
        },
        Messages::Default if options.stage == Stage::Foreground => {
            let is_wanted = options.log_format.is_some() || io::stderr().is_terminal();
            if stderr_is_the_journal() {
                Destination::Stderr(json_or(Look::Journal))
            } else if is_wanted || !Path::new(SYSLOG_SOCKET).exists() {
                Destination::Stderr(json_or(person()))
            } else {
                Destination::Syslog(Facility::Daemon)
            }
        }
        Messages::Default => Destination::Syslog(Facility::Daemon),
    };
    (destination, None)
}

/// A daemon that has detached has no standard error for its servers.
fn server_log(stage: Stage) -> ServerLog {
    if stage == Stage::Background || stage == Stage::Foreground && stderr_is_the_journal() {
        ServerLog::Journal
    } else {
        ServerLog::Inherited
    }
}

/// `JOURNAL_STREAM` names the device and inode of stderr (systemd.exec(5)).
fn stderr_is_the_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let numbers = stream.split_once(':').map(|(dev, ino)| (dev.parse(), ino.parse()));
    matches!(numbers, Some((Ok(dev), Ok(ino))) if fd::is_same_file(io::stderr().as_fd(), dev, ino))
}

/// START-5: failure is only worth a debug message.
fn write_pid_file(path: PathBuf) -> Option<PidFile> {
    let shown = path.display().to_string();
    PidFile::write(path).inspect_err(|cause| tracing::trace!("cannot write {shown}: {cause}")).ok()
}

/// CLI-15: an option that has no effect is spoken of on stderr, whatever the log is.
fn regret(options: &Options) {
    for word in options.unknown.iter().filter(|word| *word == DEPRECATED) {
        writeln!(io::stderr(), "{}: {word} is deprecated and does nothing", options.program).ok();
    }
}

/// Options that mean something to the original and nothing here.
fn warn_about(options: &Options) {
    for word in options.unknown.iter().filter(|word| *word != DEPRECATED) {
        tracing::warn!("option {word} is not known and ignored");
    }
}

/// Who the engine is. Without privilege it is who we are, in a process of its own all the same.
fn choose_account() -> Option<Account> {
    if !privilege::is_root() {
        tracing::warn!(
            "running without root: the engine and all servers run as uid {}, nothing separates them",
            privilege::own_ids().0
        );
        return None;
    }
    let lack = if !privilege::has(Capability::SetGid) || !privilege::has(Capability::SetUid) {
        Some("root without CAP_SETGID and CAP_SETUID")
    } else if !privilege::may_set_groups() {
        Some("root of a user namespace without other users (setgroups is denied)")
    } else {
        None
    };
    if let Some(lack) = lack {
        tracing::error!(
            "{lack}: the engine stays uid 0, nothing separates it, and servers cannot become their \
             users"
        );
        return None;
    }
    let account =
        |name: &str| names::local_user(name).map(|user| Account { uid: user.uid, gid: user.gid });
    let account = account("xinetd").or_else(|| {
        tracing::warn!("there is no user `xinetd`: the engine runs as `nobody`");
        account("nobody")
    });
    const OVERFLOW: u32 = 65534; // where not even nobody is known
    account.or(Some(Account { uid: OVERFLOW, gid: OVERFLOW }))
}
