//! The control socket of the daemon: who may ask, and how much of it is heard at a time.
//!
//! A client costs its few bytes and, once a turn, one request. Nobody waits for it: what it does
//! not read in time is dropped, and so is it.

mod client;
mod deny;
mod kill;
mod left_out;
mod reload;
mod sessions;
mod status;
mod steer;

use socket2::{Domain, Socket, Type};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::config::no_service;
use crate::control::{Answer, Command, Request, SOCKET};
use crate::ipc::Gate;
use crate::monitor::Monitor;
use crate::plan::ServiceIndex;
use crate::sys::poll::Interest;
use crate::sys::privilege;
use crate::sys::socket;
use crate::sys::socket_file::{Access, SocketFile};

use client::Client;
pub(super) use left_out::left_out;

/// Clients at a time; more wait until they are accepted.
const MOST_CLIENTS: usize = 32;

/// Descriptors that no client takes: connections on their way to a server need them, and files. Fewer than
/// what services leave free (START-15): somebody can ask which are left out.
const SPARE: u64 = 4;

/// How long nobody is accepted when there is no descriptor for one.
const REST: Duration = Duration::from_millis(100);

/// Who may connect: root, and whoever the daemon runs as.
const ACCESS: Access = Access { mode: 0o600, uid: None, gid: None };

/// What comes of a request: lines of the answer, or why nothing has been done.
type Outcome = Result<Vec<Answer>, String>;

/// With the line that every answer ends with.
fn complete(outcome: Outcome) -> Vec<Answer> {
    match outcome {
        Ok(mut answers) => {
            answers.push(Answer::Done {});
            answers
        }
        Err(why) => vec![Answer::Failed { why }],
    }
}

/// The socket and its clients; without a socket nobody comes.
#[derive(Debug, Default)]
pub(super) struct Control {
    door: Option<Door>,
    clients: Vec<Client>,
    /// Nobody is accepted until then.
    rests_until: Option<Instant>,
}

#[derive(Debug)]
struct Door {
    /// Goes before the socket.
    _file: SocketFile,
    listener: UnixListener,
}

impl Control {
    /// Listens at `path`.
    ///
    /// # Errors
    /// Where it cannot be made, or somebody else listens there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent().filter(|_| path == Path::new(SOCKET)) {
            // Where tmpfiles.d(5) has not made it. What is wrong shows at once.
            fs::create_dir(directory).ok();
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let file = SocketFile::bind(&socket, path, ACCESS)?;
        socket.listen(i32::MAX)?;
        let listener = UnixListener::from(OwnedFd::from(socket));
        Ok(Self { door: Some(Door { _file: file, listener }), ..Self::default() })
    }

    /// What to wait for.
    pub(super) fn interests(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let has_room = self.rests_until.is_none() && self.clients.len() < MOST_CLIENTS;
        let door = self.door.iter().filter(move |_| has_room);
        let door = door.map(|door| (door.listener.as_fd(), Interest::Input));
        door.chain(self.clients.iter().map(Client::interest))
    }

    /// When the next client has had its time, or may come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.clients.iter().map(Client::deadline).chain(self.rests_until).min()
    }

    /// Of `descriptors` that this process may have (RLIMIT_NOFILE) some stay free: who would take one
    /// of the last waits in the queue, or is sent away.
    fn accept(&mut self, now: Instant, descriptors: u64) {
        self.rests_until = self.rests_until.filter(|until| *until > now);
        let Some(door) = self.door.as_ref().filter(|_| self.rests_until.is_none()) else { return };
        while self.clients.len() < MOST_CLIENTS {
            let stream = match door.listener.accept() {
                Ok((stream, _)) => stream,
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.rests_until = Some(now + REST);
                    return;
                }
            };
            // It is the lowest number that was free.
            let number = u64::from(stream.as_raw_fd().unsigned_abs());
            if number + SPARE >= descriptors {
                self.rests_until = Some(now + REST);
                return;
            }
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let who = socket::peer_process(&stream).map(|process| process.uid);
            let mut client = Client::new(stream, who.unwrap_or(u32::MAX), now);
            if !who.is_some_and(|uid| uid == 0 || uid == privilege::own_ids().0) {
                let why = "only root, and who the daemon runs as, may ask".to_owned();
                client.finish(&[Answer::Failed { why }], now);
            }
            self.clients.push(client);
        }
    }

    /// The next request that is complete, and whose it is.
    fn hear(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let mut clients = self.clients.iter_mut().enumerate();
        clients.find_map(|(number, client)| Some((number, client.hear(now)?)))
    }
}

impl Monitor {
    /// Opens the control socket, if there is to be one. What runs without it runs as well.
    pub(super) fn open_control(&mut self) {
        let Some(path) = self.options.control.clone() else { return };
        match Control::open(&path) {
            Ok(control) => self.control = control,
            Err(cause) => {
                let path = path.display();
                tracing::info!("no control socket {path}, nothing for xinetctl to ask: {cause}");
            }
        }
    }

    /// One turn for the clients of the control socket.
    pub(super) fn serve_control(&mut self) {
        let now = Instant::now();
        self.control.accept(now, self.descriptors);
        if let Some((number, line)) = self.control.hear(now)
            && let Some(answers) = self.carry_out(number, &line).map(complete)
            && let Some(client) = self.control.clients.get_mut(number)
        {
            client.finish(&answers, now);
        }
        for client in &mut self.control.clients {
            client.flush(now);
            client.expire(now);
        }
        self.control.clients.retain(|client| !client.is_gone());
    }

    /// The one switch: what an operator asks for, the client of this number. `None`: the answer
    /// comes later.
    fn carry_out(&mut self, number: usize, line: &[u8]) -> Option<Outcome> {
        let request = match Request::parse(line) {
            Ok(request) => request,
            Err(rejected) => return Some(Err(rejected.to_string())),
        };
        let uid = self.control.clients.get(number)?.uid();
        Some(match request.command {
            Command::Status => Ok(self.status()),
            Command::Services(which) => self.services_status(&which),
            Command::Sessions => Ok(self.listed().into_iter().map(Answer::Session).collect()),
            Command::Deny { address, seconds } => self.deny(address, seconds, uid),
            Command::Undeny { address } => self.undeny(address, uid),
            Command::Denied => Ok(self.denied()),
            Command::Pause(which) => self.steer(&which, Gate::Held, uid),
            Command::Drain(which) => self.steer(&which, Gate::Closed, uid),
            Command::Resume(which) => self.steer(&which, Gate::Open, uid),
            Command::Kill(whom) => self.kill(&whom, uid),
            Command::Reload { colour } => {
                tracing::info!("Reconfiguration is ordered by uid {uid}");
                match self.reload_for(number, colour) {
                    Ok(()) => return None,
                    Err(why) => Err(why),
                }
            }
        })
    }

    /// Orders come too late.
    fn refuse_at_the_end(&self) -> Result<(), String> {
        match self.stop_at {
            Some(_) => Err("the daemon is about to end".to_owned()),
            None => Ok(()),
        }
    }

    /// The services that `word` names, by their id or their name.
    fn named(&self, word: &str) -> Result<Vec<(ServiceIndex, String)>, String> {
        let all = || self.services.iter().map(|(index, active)| (index, &*active.service));
        let meant = all().filter(|(_, service)| service.id.0 == word || service.name == word);
        let meant: Vec<_> = meant.map(|(index, service)| (index, service.id.0.clone())).collect();
        let known = all().flat_map(|(_, service)| [service.id.0.as_str(), &service.name]);
        if meant.is_empty() { Err(no_service(word, known)) } else { Ok(meant) }
    }
}
