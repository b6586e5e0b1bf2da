//! `xinetctl dump`: the resolved configuration as JSON (docs/dump.md).

use std::{
    env,
    io::{self, Write},
    path::{PathBuf, absolute},
    process::ExitCode,
};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::attr::{Row, Scope, TABLE};
use crate::config::report;
use crate::config::system::System;
use crate::config::{self, Declared, Fate, KeptOff, Loaded, Request, Verdict};
use crate::diag::Span;
use crate::plan::{Address, Service, SocketKey};

use super::compat::Compat;
use super::complain;
use super::explain::origin::{Origin, places};

/// Counts what programs could not overlook.
const VERSION: u32 = 1;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 dumped, whatever `xinetctl check` says; 2 usage, or the main file cannot be read.")]
pub(super) struct DumpArgs {
    /// The main file
    #[arg(value_name = "MAIN", default_value = "/etc/xinetd.conf")]
    main: PathBuf,
    #[command(flatten)]
    compat: Compat,
}

pub(super) fn run(args: &DumpArgs) -> ExitCode {
    let base = env::current_dir().unwrap_or_else(|_| "/".into());
    let main = absolute(&args.main).unwrap_or_else(|_| base.join(&args.main));
    let (lookup, inetd) = (System::new(), args.compat.file(&base));
    let request = Request { path: &main, base: &base, lookup: &lookup, inetd: inetd.as_deref() };
    let loaded = config::load(&request);
    if let Verdict::Unreadable(why) = &loaded.verdict {
        let _said = complain(why);
        return 2.into();
    }
    super::printed(write(&loaded), ExitCode::SUCCESS)
}

fn write(loaded: &Loaded) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &Document::of(loaded))?;
    writeln!(out)?;
    out.flush()
}

/// The whole of a configuration.
#[derive(Debug, Serialize)]
struct Document {
    version: u32,
    /// Whether xinetd would start with it (DEF-6).
    starts: bool,
    files: Vec<String>,
    services: Vec<Value>,
}

impl Document {
    fn of(loaded: &Loaded) -> Self {
        let files = report::files(&loaded.sources).map(|path| path.display().to_string());
        Self {
            version: VERSION,
            starts: loaded.verdict != Verdict::FaultyDefaults { fatal: true },
            files: files.collect(),
            services: loaded.declared.iter().map(|one| entry(loaded, one)).collect(),
        }
    }
}

fn entry(loaded: &Loaded, declared: &Declared) -> Value {
    let mut object = Map::new();
    object.insert("id".into(), declared.id.0.as_str().into());
    object.insert("name".into(), declared.name.as_str().into());
    object.insert("at".into(), place(loaded, declared.span));
    object.insert("state".into(), state(declared.fate).into());
    if let Some(service) = loaded.service(declared) {
        object.insert("listen".into(), listen(service));
        object.insert("attributes".into(), attributes(loaded, declared, service));
    }
    Value::Object(object)
}

const fn state(fate: Fate) -> &'static str {
    match fate {
        Fate::Starts(_) => "starts",
        Fate::Unserved(_) => "unsupported",
        Fate::Faulty => "faulty",
        Fate::Disabled => "disabled",
        Fate::KeptOff(KeptOff::Disabled(_)) => "in-disabled",
        Fate::KeptOff(KeptOff::NotEnabled(_)) => "not-in-enabled",
    }
}

/// Where it listens; nowhere, if it is behind tcpmux. Port 0: the system chooses one.
fn listen(service: &Service) -> Value {
    service.sockets.iter().map(socket).collect()
}

fn socket(socket: &SocketKey) -> Value {
    let address = match &socket.address {
        Address::Ip(address) => address.ip().to_string(),
        unix @ Address::Unix(_) => unix.to_string(),
    };
    json!({
        "address": address,
        "port": socket.address.ip().map(|address| address.port()),
        "protocol": socket.address.ip().map(|_| socket.protocol.to_string()),
        "socket_type": socket.socket_type.word(),
        "v6only": socket.v6only,
    })
}

/// The attributes that have a value, each with the lines that made it.
fn attributes(loaded: &Loaded, declared: &Declared, service: &Service) -> Value {
    let mut object = Map::new();
    for row in TABLE.iter().filter(|row| row.scope != Scope::Defaults) {
        let Some(words) = row.show.value(service, &loaded.plan.common_log) else { continue };
        let origins = places(loaded, declared, row);
        let from: Vec<_> = origins.iter().map(|origin| line(loaded, *origin)).collect();
        object.insert(row.name().into(), json!({ "value": value(row, words), "from": from }));
    }
    Value::Object(object)
}

/// A word, or all words where there may be several.
fn value(row: &Row, mut words: Vec<String>) -> Value {
    match (row.values.max, words.len()) {
        (1, 1) => words.pop().into(),
        _ => words.into(),
    }
}

fn line(loaded: &Loaded, origin: Origin) -> Value {
    let Value::Object(mut object) = place(loaded, origin.span) else { return Value::Null };
    object.insert("defaults".into(), origin.inherited.into());
    Value::Object(object)
}

fn place(loaded: &Loaded, span: Span) -> Value {
    let position = loaded.sources.position(span);
    json!({
        "file": position.path.display().to_string(),
        "line": position.line,
        "column": position.column,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::tests::loaded;

    fn dumped(text: &str) -> Value {
        serde_json::to_value(Document::of(&loaded(text))).unwrap()
    }

    #[test]
    fn a_service_has_its_values_and_the_lines_that_made_them() {
        let document = dumped(
            "service a\n{\ntype = UNLISTED\nport = 1001\nsocket_type = stream\nwait = no\n\
             user = root\nserver = /bin/cat\nserver_args = -u -v\nlog_on_success += PID\n}\n\
             service b\n{\ndisable = yes\n}\n\
             defaults\n{\nlog_on_success = HOST\n}\n",
        );
        let [a, b] = document["services"].as_array().unwrap().as_slice() else { panic!() };
        assert_eq!((&a["state"], &b["state"]), (&json!("starts"), &json!("disabled")));
        assert_eq!(a["listen"][0]["port"], 1001);
        let attributes = &a["attributes"];
        assert_eq!(attributes["server_args"]["value"], json!(["-u", "-v"]));
        assert_eq!(attributes["user"]["value"], "0");
        assert_eq!(attributes["user"]["from"][0]["line"], 7);
        assert_eq!(attributes["cps"]["from"], json!([]));
        let from = attributes["log_on_success"]["from"].as_array().unwrap();
        let inherited: Vec<_> = from.iter().map(|line| line["defaults"].clone()).collect();
        assert_eq!(inherited, [true, false], "DEF-5");
        assert!(b.get("attributes").is_none());
    }
}
