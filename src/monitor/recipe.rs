//! From a service to what its child does: a list of steps, and an environment (pure).

use std::ffi::{OsStr, OsString};

use crate::monitor::ends;
use crate::plan::Credentials;
use crate::plan::EnvPlan;
use crate::plan::Groups;
use crate::plan::Passed;
use crate::plan::Resource;
use crate::plan::Service;
use crate::plan::Stderr;
use crate::sys::recipe::Resource as KernelResource;
use crate::sys::recipe::Step;

/// Variables that a service manager means for the daemon alone (`sd_notify(3)`,
/// `sd_listen_fds(3)`, `sd_watchdog_enabled(3)`, `systemd.exec(5)`); no server gets them
/// unless `passenv` names them.
const FOR_THE_DAEMON: [&str; 8] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "JOURNAL_STREAM",
];

/// The steps of a `nowait` server, in an order that matters: limits and nice while there is
/// privilege (SRV-15), groups before gid before uid, exec last. Signals stay blocked to the
/// end: neither the terminal nor a process of the server's user may end this one half-way.
///
/// Without privilege group changes are skipped and setuid(2) is tried all the same: it
/// succeeds for the own user only (START-17).
#[must_use]
pub(super) fn steps(service: &Service, who: &Credentials, privileged: bool) -> Vec<Step> {
    let mut steps = vec![Step::NewSession, Step::SocketAsStdio];
    match service.stderr {
        Stderr::Socket => {}
        Stderr::Log => steps.push(Step::LogAsStderr),
        Stderr::Null => steps.push(Step::NullAsStderr),
    }
    steps.push(Step::CloseOnExecFrom(3));
    steps.extend(service.rlimits.iter().map(|limit| Step::Limit {
        resource: kernel_name(limit.resource),
        value: limit.value.unwrap_or(u64::MAX),
    }));
    steps.extend(service.nice.map(Step::Nice));
    steps.extend(service.umask.map(Step::Umask));
    if privileged {
        steps.push(match &who.groups {
            Groups::None => Step::Groups(Vec::new()),
            Groups::List(groups) => Step::Groups(groups.clone()),
            Groups::Unknown => Step::UnknownGroups,
        });
        steps.push(Step::Gid(who.gid));
    }
    steps.push(Step::Uid(who.uid));
    if privileged && who.uid != 0 {
        steps.extend([Step::NoWayBack, Step::NotDumpable]);
    }
    steps.extend([Step::UnblockSignals, Step::Exec]);
    steps
}

/// The kernel's name of a resource.
const fn kernel_name(resource: Resource) -> KernelResource {
    match resource {
        Resource::AddressSpace => KernelResource::RLIMIT_AS,
        Resource::Cpu => KernelResource::RLIMIT_CPU,
        Resource::Data => KernelResource::RLIMIT_DATA,
        Resource::Rss => KernelResource::RLIMIT_RSS,
        Resource::Stack => KernelResource::RLIMIT_STACK,
        Resource::Files => KernelResource::RLIMIT_NOFILE,
    }
}

/// SRV-5 to SRV-7: what is passed on, then `env`, which overrides it. `REMOTE_HOST` is left
/// out, wherever it comes from: each connection has its own. So is what the daemon was told
/// about a connection of its own, where its servers are told about theirs.
pub(super) fn environment(
    plan: &EnvPlan,
    daemon: &[(OsString, OsString)],
) -> Vec<(OsString, OsString)> {
    let is_ours = |name: &OsStr| plan.tells_ends && ends::is_ours(name);
    let is_passed = |name: &OsStr| match &plan.passed {
        _ if is_ours(name) => false,
        Passed::All => !FOR_THE_DAEMON.iter().any(|ours| name == *ours),
        Passed::Only(names) => names.iter().any(|wanted| wanted == name),
    };
    let is_set = |name: &OsStr| plan.set.iter().any(|(own, _)| own == name);
    let passed = daemon.iter().filter(|(name, _)| is_passed(name) && !is_set(name));
    passed.chain(&plan.set).filter(|(name, _)| name != "REMOTE_HOST").cloned().collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::{
        Action, Address, Banners, Libwrap, LogWishes, Origin, Place, Policy, Program, Protocol,
        Rlimit, ServiceId, SocketKey, SocketOptions, SocketType, Wait,
    };

    fn cat() -> Program {
        Program { path: "/bin/cat".into(), argv: vec!["cat".into()] }
    }

    fn somebody() -> Credentials {
        Credentials { uid: 7, gid: 8, groups: Groups::None }
    }

    /// A service as small as it can be.
    pub(crate) fn service() -> Service {
        Service {
            id: ServiceId("a".into()),
            name: "a".into(),
            declared_at: Place { file: "/etc/xinetd.d/a".into(), line: 1 },
            origin: Origin::Unlisted,
            socket_type: SocketType::Stream,
            protocol: Protocol::TCP,
            sockets: vec![SocketKey {
                socket_type: SocketType::Stream,
                protocol: Protocol::TCP,
                address: Address::Ip(([127, 0, 0, 1], 0).into()),
                is_lent: false,
                v6only: false,
                any_family: false,
            }],
            options: SocketOptions::default(),
            wait: Wait::No,
            action: Action::Start { program: cat(), credentials: somebody() },
            rpc: None,
            mux: None,
            id_only: false,
            retry: true,
            libwrap: Libwrap::Off,
            env: EnvPlan::default(),
            stderr: Stderr::Socket,
            nice: None,
            umask: None,
            rlimits: Vec::new(),
            policy: Policy::default(),
            banners: Banners::default(),
            log: LogWishes::default(),
        }
    }

    #[test]
    fn srv_20_a_plain_server_takes_these_steps() {
        assert_eq!(
            steps(&service(), &somebody(), true),
            [
                Step::NewSession,
                Step::SocketAsStdio,
                Step::CloseOnExecFrom(3),
                Step::Groups(vec![]),
                Step::Gid(8),
                Step::Uid(7),
                Step::NoWayBack,
                Step::NotDumpable,
                Step::UnblockSignals,
                Step::Exec,
            ]
        );
    }

    #[test]
    fn srv_15_limits_and_nice_come_before_the_privilege_goes() {
        let mut service = service();
        service.nice = Some(-3);
        service.umask = Some(0o27);
        service.rlimits = vec![Rlimit { resource: Resource::Cpu, value: None }];
        let steps = steps(&service, &somebody(), true);
        let uid = steps.iter().position(|s| *s == Step::Uid(7)).unwrap();
        for early in [
            Step::Nice(-3),
            Step::Umask(0o27),
            Step::Limit { resource: KernelResource::RLIMIT_CPU, value: u64::MAX },
        ] {
            assert!(steps[..uid].contains(&early), "{early:?}");
        }
    }

    #[test]
    fn start_17_without_privilege_only_setuid_is_tried() {
        let steps = steps(&service(), &somebody(), false);
        assert!(steps.contains(&Step::Uid(7)));
        assert!(!steps.iter().any(|s| matches!(s, Step::Gid(_) | Step::Groups(_))));
    }

    #[test]
    fn srv_13_groups_of_an_unknown_user_fail_in_the_child() {
        let who = Credentials { groups: Groups::Unknown, ..somebody() };
        assert!(steps(&service(), &who, true).contains(&Step::UnknownGroups));
    }

    #[test]
    fn a_server_of_root_stays_root() {
        let who = Credentials { uid: 0, ..somebody() };
        assert!(!steps(&service(), &who, true).contains(&Step::NoWayBack));
    }

    fn names_and_values(plan: &EnvPlan) -> Vec<String> {
        let daemon = [("PATH", "/bin"), ("FOO", "bar"), ("REMOTE_HOST", "stale")]
            .into_iter()
            .chain(FOR_THE_DAEMON.map(|name| (name, "x")))
            .map(|(n, v)| (n.into(), v.into()))
            .collect::<Vec<_>>();
        let env = environment(plan, &daemon);
        env.iter().map(|(n, v)| format!("{}={}", n.display(), v.display())).collect()
    }

    #[test]
    fn srv_5_to_srv_7_the_environment() {
        let set = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect::<Vec<_>>()
        };
        let mut plan = EnvPlan::default();
        assert_eq!(names_and_values(&plan), ["PATH=/bin", "FOO=bar"]);
        plan.set = set(&[("FOO", "new"), ("A", "1"), ("REMOTE_HOST", "mine")]);
        assert_eq!(names_and_values(&plan), ["PATH=/bin", "FOO=new", "A=1"]);
        plan.passed = Passed::Only(vec!["NOTIFY_SOCKET".into(), "REMOTE_HOST".into()]);
        plan.set.clear();
        assert_eq!(names_and_values(&plan), ["NOTIFY_SOCKET=x"], "named, so meant");
        plan.passed = Passed::Only(Vec::new());
        assert!(names_and_values(&plan).is_empty(), "SRV-6");
    }
}
