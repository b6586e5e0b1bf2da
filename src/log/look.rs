//! How the daemon's own messages look: to a person, to the journal, in a file, as JSON.

use crate::log::json::Object;
use crate::log::stamp::Stamps;
use crate::plan::Level;

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// For a person at a screen.
    Person { colour: bool },
    /// With `<priority>` in front, which the journal reads (sd-daemon(3)).
    Journal,
    /// As the original writes them to a file (MSG-1).
    File,
    /// A JSON object a line.
    Json,
}

impl Look {
    /// A message as one line, with its end.
    pub(super) fn line(self, level: Level, text: &str, ident: &str, stamps: &mut Stamps) -> String {
        match self {
            Self::Person { colour } => format!("{}{text}\n", prefix(level, colour)),
            Self::Journal => format!("<{}>{text}\n", level as u8),
            Self::File => {
                let (stamp, pid, name) = (stamps.file(), std::process::id(), name(level));
                format!("{stamp} {ident}[{pid}]: {name}: {text}\n")
            }
            Self::Json => {
                let mut object = Object::new();
                object.text("time", stamps.utc());
                object.text("level", &name(level).to_ascii_lowercase());
                object.text("message", text);
                object.line()
            }
        }
    }
}

/// MSG-1's words.
const fn name(level: Level) -> &'static str {
    match level {
        Level::Emerg | Level::Alert | Level::Crit => "CRITICAL",
        Level::Err => "ERROR",
        Level::Warning => "WARNING",
        Level::Notice => "NOTICE",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
    }
}

/// What stands before a message on a person's screen.
const fn prefix(level: Level, colour: bool) -> &'static str {
    match (level, colour) {
        (Level::Emerg | Level::Alert | Level::Crit | Level::Err, true) => {
            "xinetd: \x1b[1;31merror\x1b[0m: "
        }
        (Level::Emerg | Level::Alert | Level::Crit | Level::Err, false) => "xinetd: error: ",
        (Level::Warning, true) => "xinetd: \x1b[1;33mwarning\x1b[0m: ",
        (Level::Warning, false) => "xinetd: warning: ",
        (Level::Notice | Level::Info | Level::Debug, _) => "xinetd: ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_as_json_is_one_object_a_line() {
        let text = "bind failed \"x\"\nand more";
        let line = Look::Json.line(Level::Crit, text, "xinetd", &mut Stamps::default());
        let (time, rest) = line.split_once(',').unwrap();
        assert!(time.starts_with("{\"time\":\"2") && time.ends_with("Z\""), "{line}");
        let wanted = r#""level":"critical","message":"bind failed \"x\"\u000aand more"}"#;
        assert_eq!(rest, format!("{wanted}\n"));
    }
}
