//! The services in force: each with its listening socket and everything its servers need.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::log;
use crate::monitor::bind::Open;
use crate::monitor::ends::Told;
use crate::monitor::recipe;
use crate::plan::Address;
use crate::plan::Credentials;
use crate::plan::Door;
use crate::plan::EnvPlan;
use crate::plan::Service;
use crate::plan::ServiceId;
use crate::plan::ServiceIndex;
use crate::plan::SocketIndex;
use crate::plan::SocketKey;
use crate::plan::Stderr;
use crate::sys::fd;
use crate::sys::privilege;
use crate::sys::recipe::Step;
use crate::sys::recipe::{Environment, Image};
use crate::sys::socket;
use crate::sys::socket_file::SocketFile;

/// One service that runs.
#[derive(Debug)]
pub(super) struct Active {
    pub service: Rc<Service>,
    /// One for each of the service's sockets.
    pub listeners: Vec<Listener>,
    /// `None`: it starts no servers.
    pub launch: Option<Rc<Launch>>,
}

impl Active {
    /// The same once more, with descriptors of its own.
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        let copy = |one: &Listener| Ok(Listener::new(one.index, one.key.clone(), one.duplicate()?));
        let listeners = self.listeners.iter().map(copy).collect::<io::Result<_>>()?;
        Ok(Self { service: Rc::clone(&self.service), listeners, launch: self.launch.clone() })
    }

    /// Descriptors that it keeps open, besides files of its log.
    fn descriptors(&self) -> usize {
        let log = self.launch.as_ref().and_then(|launch| launch.log.as_ref());
        self.listeners.len() + usize::from(log.is_some())
    }

    /// Whether clients can connect to it.
    const fn is_available(&self) -> bool {
        !self.listeners.is_empty()
    }

    /// The socket of this number.
    #[must_use]
    pub(super) fn listener(&self, index: SocketIndex) -> Option<&Listener> {
        self.listeners.iter().find(|listener| listener.index == index)
    }
}

/// A listening socket of a service, and what it is.
#[derive(Debug)]
pub(super) struct Listener {
    pub index: SocketIndex,
    pub key: SocketKey,
    /// Goes before the socket: as long as that is open, nothing else can have its inode.
    pub file: Option<Rc<SocketFile>>,
    pub fd: OwnedFd,
    /// The port that it has; the key has none where the system was to choose one (RPC-1).
    pub port: u16,
    /// What the service manager knows it by, if it keeps it for us.
    pub stored: Option<Rc<str>>,
}

impl Listener {
    /// The socket that has been opened for `key`.
    pub(super) fn new(index: SocketIndex, key: SocketKey, open: Open) -> Self {
        let Open { file, fd, stored } = open;
        let port = socket::local_port(&fd);
        Self { index, key, file, fd, port, stored }
    }

    /// The same socket once more.
    ///
    /// # Errors
    /// As fcntl(2).
    pub(super) fn duplicate(&self) -> io::Result<Open> {
        let (file, stored) = (self.file.clone(), self.stored.clone());
        Ok(Open { file, fd: fd::duplicate(&self.fd)?, stored })
    }

    /// Whether the system has chosen its port.
    #[must_use]
    pub(super) fn has_chosen_port(&self) -> bool {
        self.port != self.key.address.port()
    }

    /// Whether this is a connection of a client that has come to it, with `local` as its own end.
    #[must_use]
    pub(super) fn has_accepted(&self, connection: &OwnedFd, local: Option<SocketAddr>) -> bool {
        match self.key.address {
            Address::Ip(_) => {
                local.is_some_and(|end| end.port() == self.port)
                    && socket::is_tcp_connection(connection)
            }
            Address::Unix(_) => socket::is_unix_connection(connection, &self.fd),
        }
    }
}

impl fmt::Display for Listener {
    /// Where it really listens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = self.key.clone();
        if let Address::Ip(address) = &mut key.address {
            address.set_port(self.port);
        }
        key.fmt(f)
    }
}

/// How a server is started.
#[derive(Debug)]
pub(super) struct Launch {
    pub steps: Vec<Step>,
    pub image: Image,
    pub told: Told,
    /// For `stderr = log`; `None`: there is none, or nobody asks for it.
    pub log: Option<OwnedFd>,
}

/// What every service's servers are made from.
#[derive(Debug)]
pub(super) struct Household {
    /// The daemon's environment at start (SRV-5).
    environment: Vec<(OsString, OsString)>,
    /// What servers get of it. Most services ask for the same, so they share one.
    made: HashMap<EnvPlan, Rc<Environment>>,
    /// Whether users and groups can be changed (START-17).
    privileged: bool,
    stderr: ServerLog,
}

/// Where the standard error of servers with `stderr = log` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerLog {
    /// To journald, a stream for each service.
    Journal,
    /// Where ours goes.
    Inherited,
}

impl Household {
    pub(super) fn new(
        environment: Vec<(OsString, OsString)>,
        privileged: bool,
        stderr: ServerLog,
    ) -> Self {
        Self { environment, made: HashMap::new(), privileged, stderr }
    }

    /// Makes a service ready to run on `listeners`.
    ///
    /// # Errors
    /// When a word of its command line or environment holds a NUL byte; the listeners are closed.
    pub(super) fn activate(
        &mut self,
        service: Rc<Service>,
        listeners: Vec<Listener>,
    ) -> io::Result<Active> {
        let launch = match service.action.start() {
            Some((program, who)) => {
                let env = self.environment_of(&service.env)?;
                self.warn_of_another_user(&service.id, who);
                let argv = program.argv.iter().map(OsString::as_os_str);
                let image = Image::new(program.path.as_os_str(), argv, env)?;
                Some(Rc::new(Launch {
                    steps: self.steps(&service, who),
                    image,
                    told: Told::new(&service.env),
                    log: self.log_for(&service),
                }))
            }
            None => None,
        };
        Ok(Active { service, listeners, launch })
    }

    /// What servers of `service` do before they exec. Root that cannot change groups keeps its own
    /// only where it stays who it is: anybody else fails at the first step.
    pub(super) fn steps(&self, service: &Service, who: &Credentials) -> Vec<Step> {
        let is_other = (who.uid, who.gid) != privilege::own_ids();
        let privileged = self.privileged || privilege::is_root() && is_other;
        recipe::steps(service, who, privileged)
    }

    /// START-17: without privilege `user` must be who we are.
    fn warn_of_another_user(&self, id: &ServiceId, who: &Credentials) {
        let (own, _) = privilege::own_ids();
        if !self.privileged && who.uid != own {
            let wanted = who.uid;
            tracing::warn!(
                "service {id}: its servers cannot become uid {wanted}, and will not start; \
                 `user = {own}` can be had"
            );
        }
    }

    /// Where the servers of `service` write what nobody should overlook (`stderr = log`).
    fn log_for(&self, service: &Service) -> Option<OwnedFd> {
        if service.stderr != Stderr::Log {
            return None;
        }
        let id = &service.id;
        let log = match self.stderr {
            ServerLog::Journal => log::journal_stream(&id.0),
            ServerLog::Inherited => fd::duplicate(io::stderr()),
        };
        let lost = "what its servers write to standard error is lost (`stderr = log`)";
        log.inspect_err(|cause| tracing::error!("service {id}: {lost}: {cause}")).ok()
    }

    /// Drops what no service uses any more.
    pub(super) fn tidy(&mut self) {
        self.made.retain(|_, environment| Rc::strong_count(environment) > 1);
    }

    fn environment_of(&mut self, plan: &EnvPlan) -> io::Result<Rc<Environment>> {
        if let Some(made) = self.made.get(plan) {
            return Ok(Rc::clone(made));
        }
        let variables = recipe::environment(plan, &self.environment);
        let variables = variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let environment = Rc::new(Environment::new(variables)?);
        self.made.insert(plan.clone(), Rc::clone(&environment));
        Ok(environment)
    }
}

/// The services in force, by the number that the engine knows them by.
#[derive(Debug, Default)]
pub(super) struct Services {
    active: BTreeMap<ServiceIndex, Active>,
    /// Of all of them ([`Active::descriptors`]).
    descriptors: usize,
    /// How many have a listener.
    available: usize,
    /// The last numbers given; they are never reused, slots cannot run out (RELOAD-13).
    last: u32,
    last_socket: u32,
}

impl Services {
    /// A number that no service has had.
    pub(super) const fn new_index(&mut self) -> ServiceIndex {
        self.last = self.last.wrapping_add(1);
        ServiceIndex(self.last)
    }

    /// A number that no listening socket has had.
    pub(super) const fn new_socket_index(&mut self) -> SocketIndex {
        self.last_socket = self.last_socket.wrapping_add(1);
        SocketIndex(self.last_socket)
    }

    /// Puts a service in force, under a number that is free.
    pub(super) fn insert(&mut self, index: ServiceIndex, active: Active) {
        self.descriptors += active.descriptors();
        self.available += usize::from(active.is_available());
        self.active.insert(index, active);
    }

    /// Takes a service out of force.
    pub(super) fn remove(&mut self, index: ServiceIndex) -> Option<Active> {
        let active = self.active.remove(&index)?;
        self.descriptors -= active.descriptors();
        self.available -= usize::from(active.is_available());
        Some(active)
    }

    #[must_use]
    pub(super) fn find(&self, index: ServiceIndex) -> Option<&Active> {
        self.active.get(&index)
    }

    /// All of them, oldest number first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ServiceIndex, &Active)> {
        self.active.iter().map(|(index, active)| (*index, active))
    }

    /// Every listening socket, and whose it is.
    pub(super) fn listeners_mut(&mut self) -> impl Iterator<Item = (&Service, &mut Listener)> {
        self.active.values_mut().flat_map(|Active { service, listeners, .. }| {
            let service: &Service = service;
            listeners.iter_mut().map(move |listener| (service, listener))
        })
    }

    /// Every listening socket.
    pub(super) fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.active.values().flat_map(|active| &active.listeners)
    }

    #[must_use]
    pub(super) fn count(&self) -> usize {
        self.active.len()
    }

    /// How many of them clients can connect to: not those behind tcpmux.
    #[must_use]
    pub(super) const fn available(&self) -> usize {
        self.available
    }

    /// How many descriptors they keep open together (START-15).
    #[must_use]
    pub(super) const fn descriptors(&self) -> usize {
        self.descriptors
    }

    /// The engine's half of all of them.
    #[must_use]
    pub(super) fn doors(&self) -> Vec<Door> {
        let sockets = |active: &Active| active.listeners.iter().map(|one| one.index).collect();
        self.iter()
            .map(|(index, active)| Door::of(index, &active.service, sockets(active)))
            .collect()
    }
}
