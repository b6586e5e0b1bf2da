//! What a check says: each note in one of its forms, and one line about all of them.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;

use crate::config::source::COMMAND_LINE;
use crate::config::{Fate, Loaded, Verdict};
use crate::diag::{Diagnostic, Severity, Sources, count, printable, wants_colour};

/// The form of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// With the line quoted.
    Human { colour: bool },
    /// `file:line:column: level: message`
    Short,
}

impl Form {
    /// For people on a terminal, for programs elsewhere.
    #[must_use]
    pub fn fit(stream: &impl IsTerminal) -> Self {
        match stream.is_terminal() {
            true => Self::Human { colour: wants_colour(stream) },
            false => Self::Short,
        }
    }

    /// `note` with the ends of its lines.
    #[must_use]
    pub fn text(self, note: &Diagnostic, sources: &Sources) -> String {
        match self {
            Self::Human { colour } => note.human(sources, colour) + "\n",
            Self::Short => note.short(sources) + "\n",
        }
    }
}

/// How many of everything, for one configuration or the sum of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub errors: usize,
    pub warnings: usize,
    pub notes: usize,
    /// Lines that were to keep clients out and do not.
    pub not_in_force: usize,
    pub files: usize,
    /// Services that would start.
    pub services: usize,
    /// Services that would not, because they are switched off (PARSE-19, DEF-8).
    pub switched_off: usize,
    /// Services that would not, because of a mistake.
    pub left_out: usize,
    /// Configurations with which xinetd would not start (DEF-6).
    pub refused: usize,
    /// Main files that cannot be read (START-14).
    pub unreadable: usize,
}

impl Tally {
    /// Counts what came out of one configuration.
    pub fn add(&mut self, loaded: &Loaded) {
        for note in &loaded.notes {
            *match note.severity {
                Severity::Error => &mut self.errors,
                Severity::Warning => &mut self.warnings,
                Severity::Note => &mut self.notes,
            } += 1;
            self.not_in_force += usize::from(note.not_in_force.is_some());
        }
        self.files += files(&loaded.sources).count();
        let refused = loaded.verdict == Verdict::FaultyDefaults { fatal: true };
        for declared in &loaded.declared {
            *match declared.fate {
                Fate::Starts(_) if refused => continue,
                Fate::Starts(_) => &mut self.services,
                Fate::Disabled | Fate::KeptOff(_) => &mut self.switched_off,
                Fate::Faulty | Fate::Unserved(_) => &mut self.left_out,
            } += 1;
        }
        match loaded.verdict {
            Verdict::Good | Verdict::FaultyDefaults { fatal: false } => {}
            Verdict::FaultyDefaults { fatal: true } => self.refused += 1,
            Verdict::Unreadable(_) => self.unreadable += 1,
        }
    }

    /// Whether there is anything that a correct configuration has not.
    #[must_use]
    pub const fn has_errors(&self) -> bool {
        self.errors > 0 || !self.would_start()
    }

    /// Whether nothing here keeps xinetd from starting at all.
    #[must_use]
    pub const fn would_start(&self) -> bool {
        self.refused == 0 && self.unreadable == 0
    }
}

/// The lines of `loaded` that should keep clients out and do not: what must not be missed
/// stands at the end once more.
pub fn not_in_force(loaded: &Loaded) -> impl Iterator<Item = String> {
    loaded.notes.iter().filter_map(|note| {
        let at = loaded.sources.position(note.span);
        let text =
            format!("NOT in force: `{}`, {}:{}", note.not_in_force?, at.path.display(), at.line);
        Some(printable(&text).into_owned())
    })
}

/// The files that were read.
pub fn files(sources: &Sources) -> impl Iterator<Item = &Path> {
    sources.paths().filter(|path| *path != Path::new(COMMAND_LINE))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [(self.errors, "error"), (self.warnings, "warning"), (self.notes, "note")];
        let mut said: Vec<_> =
            counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| count(*n, what)).collect();
        if self.errors + self.warnings == 0 {
            said.insert(0, "no mistakes".to_owned());
        }
        write!(f, "{} in {}", said.join(", "), count(self.files, "file"))?;
        match self.unreadable {
            0 => {}
            n => write!(f, ", {n} cannot be read")?,
        }
        match self.not_in_force {
            0 => {}
            1 => f.write_str("; 1 line that should keep clients out is NOT in force")?,
            n => write!(f, "; {n} lines that should keep clients out are NOT in force")?,
        }
        match self.services {
            _ if self.refused > 0 => return f.write_str("; xinetd would NOT start"),
            0 => f.write_str("; no service would start")?,
            n => write!(f, "; {} would start", count(n, "service"))?,
        }
        match self.switched_off {
            0 => {}
            n => write!(f, ", {n} switched off")?,
        }
        match self.left_out {
            0 => Ok(()),
            n => write!(f, ", {n} left out"),
        }
    }
}

/// What must be known of a check by another user than root.
#[must_use]
pub fn checked_as(uid: u32) -> Option<String> {
    let text = format!(
        "checked as uid {uid}, not as root: files and servers that this user cannot read or run \
         count as mistakes"
    );
    (uid != 0).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_it_all() {
        let good = Tally { files: 14, services: 12, ..Tally::default() };
        assert_eq!(good.to_string(), "no mistakes in 14 files; 12 services would start");
        let off = Tally { switched_off: 2, ..good.clone() };
        assert_eq!(
            off.to_string(),
            "no mistakes in 14 files; 12 services would start, 2 switched off"
        );
        let bad = Tally { errors: 2, warnings: 1, left_out: 1, not_in_force: 3, ..off };
        assert_eq!(
            bad.to_string(),
            "2 errors, 1 warning in 14 files; 3 lines that should keep clients out are NOT in \
             force; 12 services would start, 2 switched off, 1 left out"
        );
        let noted = Tally { notes: 1, files: 1, ..Tally::default() };
        assert_eq!(noted.to_string(), "no mistakes, 1 note in 1 file; no service would start");
        let refused = Tally { errors: 1, refused: 1, not_in_force: 1, ..noted };
        assert_eq!(
            refused.to_string(),
            "1 error, 1 note in 1 file; 1 line that should keep clients out is NOT in force; \
             xinetd would NOT start"
        );
        assert!(refused.has_errors() && !good.has_errors());
        let unread = Tally { unreadable: 1, ..good };
        assert_eq!(
            unread.to_string(),
            "no mistakes in 14 files, 1 cannot be read; 12 services would start"
        );
        assert!(unread.has_errors());
    }

    #[test]
    fn root_needs_no_remark() {
        assert!(checked_as(0).is_none() && checked_as(7).unwrap().contains("uid 7"));
    }
}
