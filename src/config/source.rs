//! The files of a configuration: the main one and what it includes, in reading order.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::config::ast::{Ast, Body, Item, Word};
use crate::config::code;
use crate::config::notes::bound;
use crate::config::original;
use crate::config::overlay::{self, Overlay};
use crate::config::parse::{KEPT, parse};
use crate::diag::{Diagnostic, FileId, Sources, Span};
use crate::sys::fd::open_regular;

/// How deep files may include one another.
const MOST_DEEP: usize = 64;
/// How many files a configuration may have: more than anybody has services, and few enough
/// for a file that includes others without end to be over soon.
const MOST_FILES: usize = 65_536;
/// How long all files together may be: what is made of them takes a multiple of it.
pub(super) const MOST_BYTES: u64 = 64 << 20;

/// All entries of all files, in reading order.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub sources: Sources,
    pub entries: Vec<Entry>,
    pub overlays: Vec<Overlay>,
    /// The one that is an inetd.conf.
    pub inetd: Option<FileId>,
    /// A part was lost that reaches beyond one service: see [`Ast::incomplete`].
    pub incomplete: bool,
}

/// One entry, broken ones included.
#[derive(Debug)]
pub(super) enum Entry {
    Service { name: Word, body: Body },
    Defaults(Body),
}

/// Reads `path` and everything it includes.
///
/// # Errors
/// When `path` itself cannot be read (START-14); other files are reported and left out.
pub(super) fn read(path: &Path, base: &Path, notes: &mut Vec<Diagnostic>) -> io::Result<Files> {
    let files = Files::default();
    let mut reading = Reading::new(base, files, notes);
    reading.file(path)?;
    Ok(reading.files)
}

/// A way to read a configuration that begins at a path.
pub(super) type Read = fn(&Path, &Path, &mut Vec<Diagnostic>) -> io::Result<Files>;

/// The place of what no file says: a directory or file of a command line.
pub(super) const COMMAND_LINE: &str = "(command line)";

/// Reads the files of `directory` as if a main file had an `includedir` with it.
///
/// # Errors
/// When `directory` itself cannot be read; its files are reported and left out.
pub(super) fn read_directory(
    directory: &Path,
    base: &Path,
    notes: &mut Vec<Diagnostic>,
) -> io::Result<Files> {
    names(directory)?;
    let mut files = Files::default();
    let word = on_command_line(&mut files.sources, "includedir ", directory);
    let mut reading = Reading::new(base, files, notes);
    reading.include_dir(&word);
    Ok(reading.files)
}

/// `path` behind `keyword`, as a word that messages can point at.
pub(super) fn on_command_line(sources: &mut Sources, keyword: &str, path: &Path) -> Word {
    let bytes = path.as_os_str().as_bytes().to_vec();
    let file = sources.add(COMMAND_LINE, [keyword.as_bytes(), &bytes].concat());
    let offset = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let start = offset(keyword.len());
    let span = Span { file, start, end: start.saturating_add(offset(bytes.len())) };
    Word { bytes, span }
}

struct Reading<'a> {
    base: &'a Path,
    /// Device and inode of what is being read, the main file first.
    open: Vec<(u64, u64)>,
    /// How many files were read.
    read: usize,
    /// How many bytes may still be read.
    room: u64,
    files: Files,
    notes: &'a mut Vec<Diagnostic>,
}

impl<'a> Reading<'a> {
    fn new(base: &'a Path, files: Files, notes: &'a mut Vec<Diagnostic>) -> Self {
        Self { base, open: Vec::new(), read: 0, room: MOST_BYTES, files, notes }
    }

    fn file(&mut self, path: &Path) -> io::Result<()> {
        let (bytes, identity) = self.contents(path)?;
        self.read += 1;
        let id = self.files.sources.add(path, bytes);
        let ast = self.ast(id);
        self.open.push(identity);
        self.items(ast);
        self.open.pop();
        Ok(())
    }

    fn contents(&mut self, path: &Path) -> io::Result<(Vec<u8>, (u64, u64))> {
        let (bytes, identity) = contents(path, self.room)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.room = self.room.saturating_sub(length);
        Ok((bytes, identity))
    }

    fn ast(&mut self, id: FileId) -> Ast {
        let text = self.files.sources.bytes(id);
        self.notes.extend(original::of_lines(id, text));
        parse(id, text, self.notes)
    }

    fn items(&mut self, ast: Ast) {
        self.files.incomplete |= ast.incomplete;
        let mut defaults: Option<Span> = None;
        for item in ast.items {
            bound(self.notes);
            match item {
                Item::Service { name, body } => {
                    self.files.entries.push(Entry::Service { name, body });
                }
                Item::Defaults { keyword, body } => match defaults {
                    None => {
                        defaults = Some(keyword.span);
                        self.files.entries.push(Entry::Defaults(body));
                    }
                    Some(first) => self.second_defaults(&keyword, first),
                },
                Item::Include(path) => self.include(&path),
                Item::IncludeDir(path) => self.include_dir(&path),
            }
        }
    }

    /// DEF-1
    fn second_defaults(&mut self, keyword: &Word, first: Span) {
        self.files.incomplete = true;
        let message = "a file can have only one `defaults`; this one is left out";
        let note = Diagnostic::error(code::SECOND_DEFAULTS, keyword.span, message)
            .related(first, "the one in force")
            .legacy("only 1 defaults entry is allowed. This entry will be ignored");
        self.notes.push(note);
    }

    /// INC-1, INC-5
    fn include(&mut self, word: &Word) {
        let path = self.base.join(word.os());
        if !self.is_beyond_limits(word) {
            self.included(word, &path);
        }
    }

    /// INC-2 to INC-4
    fn include_dir(&mut self, word: &Word) {
        let path = self.base.join(word.os());
        if self.is_beyond_limits(word) {
            return;
        }
        if self.is_open(&path) {
            return self.cycle(word);
        }
        let names = match names(&path) {
            Ok(names) => names,
            Err(error) => {
                return self.unreadable(word, &path, &error, "Unable to read included directory");
            }
        };
        let identity = fs::metadata(&path).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        self.open.extend(identity);
        for path in names {
            if self.is_beyond_limits(word) {
                break;
            }
            self.included(word, &path);
            self.overlay(word, &path);
        }
        if identity.is_some() {
            self.open.pop();
        }
    }

    fn included(&mut self, word: &Word, path: &Path) {
        if self.is_open(path) {
            self.cycle(word);
        } else if let Err(error) = self.file(path) {
            self.unreadable(word, path, &error, "Unable to open included configuration file");
        }
    }

    /// Reads `NAME.local` beside `path`, if there is one.
    fn overlay(&mut self, word: &Word, path: &Path) {
        let mut name = path.as_os_str().to_owned();
        name.push(overlay::SUFFIX);
        let path = Path::new(&name);
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) || self.is_beyond_limits(word) {
            return;
        }
        let bytes = match self.contents(path) {
            Ok((bytes, _)) => bytes,
            Err(error) => return self.unreadable(word, path, &error, "Unable to open overlay"),
        };
        self.read += 1;
        let id = self.files.sources.add(path, bytes);
        let ast = self.ast(id);
        self.files.incomplete |= ast.incomplete;
        for item in ast.items {
            let (what, span) = match item {
                Item::Service { name, body } => {
                    self.files.overlays.push(Overlay { name, body });
                    continue;
                }
                Item::Defaults { keyword, .. } => ("defaults", keyword.span),
                Item::Include(path) => ("include", path.span),
                Item::IncludeDir(path) => ("includedir", path.span),
            };
            let message =
                format!("an overlay has only `service` entries; this `{what}` is not read; {KEPT}");
            self.notes.push(Diagnostic::error(code::NOT_IN_OVERLAY, span, message));
            self.files.incomplete = true;
        }
    }

    /// Whether nothing more can be read here; says so, and about the number of files
    /// only once.
    fn is_beyond_limits(&mut self, word: &Word) -> bool {
        let text = word.text();
        let message = if self.open.len() >= MOST_DEEP {
            format!("files include one another more than {MOST_DEEP} deep; `{text}` is not read")
        } else if self.read < MOST_FILES {
            return false;
        } else if self.read == MOST_FILES {
            format!("more than {MOST_FILES} files; `{text}` and what follows is not read")
        } else {
            return true;
        };
        self.read += usize::from(self.read == MOST_FILES);
        let note = Diagnostic::error(code::INCLUDE_LIMIT, word.span, format!("{message}; {KEPT}"));
        self.notes.push(note.label("too many"));
        self.files.incomplete = true;
        true
    }

    /// INC-6: whether reading `path` now would never end.
    fn is_open(&self, path: &Path) -> bool {
        let identity = fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()));
        identity.is_ok_and(|identity| self.open.contains(&identity))
    }

    fn cycle(&mut self, word: &Word) {
        let message = format!("`{}` is being read already; it is not read again", word.text());
        let note = Diagnostic::error(code::INCLUDE_CYCLE, word.span, message)
            .label("includes itself in the end")
            .differs("INC-6", "reads it again and again, until it runs out of descriptors");
        self.notes.push(note);
    }

    /// A start goes on without it; for a reload, services may have been in there.
    fn unreadable(&mut self, word: &Word, path: &Path, error: &io::Error, legacy: &str) {
        let path = path.display();
        let message = format!("cannot read {path}: {error}; {KEPT}");
        let note = Diagnostic::error(code::UNREADABLE, word.span, message)
            .legacy(format!("{legacy}: {path}: {error}; {KEPT}"));
        self.notes.push(note);
        self.files.incomplete = true;
    }
}

/// All of a file, and its device and inode.
///
/// # Errors
/// As open(2), and for what is no regular file, because reading that may never end;
/// only /dev/null is known to be empty. When it is longer than `room`.
pub(super) fn contents(path: &Path, room: u64) -> io::Result<(Vec<u8>, (u64, u64))> {
    let found = fs::metadata(path)?;
    let identity = |found: &Metadata| (found.dev(), found.ino());
    if !found.is_file() {
        let null = fs::metadata("/dev/null").is_ok_and(|null| identity(&null) == identity(&found));
        return match null {
            true => Ok((Vec::new(), identity(&found))),
            false => Err(io::Error::other("not a regular file")),
        };
    }
    let too_long = || {
        let together = if room < MOST_BYTES { ", together with the files before it" } else { "" };
        io::Error::other(format!("longer than {} MiB{together}", MOST_BYTES >> 20))
    };
    if found.len() > room {
        return Err(too_long());
    }
    // It may have grown since.
    let mut file = File::from(open_regular(path)?).take(room + 1);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > room) {
        return Err(too_long());
    }
    Ok((bytes, identity(&file.get_ref().metadata()?)))
}

/// The files of a directory that count as configuration, in byte order (INC-2, INC-3).
fn names(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_bytes().contains(&b'.') || name.as_bytes().ends_with(b"~") {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        let leads_to_file = || fs::metadata(&path).is_ok_and(|metadata| metadata.is_file());
        if kind.is_file() || kind.is_symlink() && leads_to_file() {
            paths.push(path);
        }
    }
    paths.sort_unstable_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(directory: &Path) -> (Vec<String>, Vec<&'static str>) {
        let mut notes = Vec::new();
        let files = read(&directory.join("main"), directory, &mut notes).unwrap();
        let name = |entry: &Entry| match entry {
            Entry::Service { name, .. } => name.text().into_owned(),
            Entry::Defaults(_) => "defaults".into(),
        };
        let names = files.entries.iter().map(name).collect();
        (names, notes.iter().map(|note| note.code).collect())
    }

    fn service(name: &str) -> String {
        format!("service {name}\n{{\n}}\n")
    }

    #[test]
    fn an_included_directory_is_read_in_byte_order_without_dots_and_backups() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("d/subdirectory")).unwrap();
        for name in ["b", "a", "Z", "0", "#x#", "c.conf", ".hidden", "d~"] {
            fs::write(at("d").join(name), service(name)).unwrap();
        }
        fs::write(at("real"), service("linked")).unwrap();
        std::os::unix::fs::symlink(at("real"), at("d/link")).unwrap();
        std::os::unix::fs::symlink("/proc/nonexistent", at("d/dangling")).unwrap();
        fs::write(at("main"), service("first") + "includedir d\n" + &service("last")).unwrap();
        let (names, notes) = load(directory.path());
        assert_eq!(names, ["first", "#x#", "0", "Z", "a", "b", "linked", "last"], "INC-2, INC-3");
        assert!(notes.is_empty());
    }

    #[test]
    fn a_file_that_includes_itself_is_read_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("main"), "include main\ninclude other\n".to_owned() + &service("a")).unwrap();
        fs::write(at("other"), "includedir .\n".to_owned() + &service("b")).unwrap();
        let (names, notes) = load(directory.path());
        assert_eq!(names, ["b", "a"], "INC-6");
        assert_eq!(notes, [code::INCLUDE_CYCLE; 3]);
    }

    #[test]
    fn missing_files_and_directories_are_reported_and_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let text =
            "include nothing and more\nincludedir /nonexistent/d\n".to_owned() + &service("a");
        fs::write(directory.path().join("main"), text).unwrap();
        let (names, notes) = load(directory.path());
        assert_eq!((names.len(), notes), (1, vec![code::UNREADABLE; 2]), "INC-1, INC-4");
        let (main, base) = (directory.path().join("main"), directory.path());
        assert!(read(&main, base, &mut Vec::new()).unwrap().incomplete);
        assert!(read(Path::new("/proc/nonexistent"), Path::new("/"), &mut Vec::new()).is_err());
    }

    #[test]
    fn files_that_include_one_another_too_deep_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("main"), "include 1\n").unwrap();
        for depth in 1..=MOST_DEEP {
            let text = format!("include {}\n{}", depth + 1, service(&depth.to_string()));
            fs::write(at(&depth.to_string()), text).unwrap();
        }
        let (names, notes) = load(directory.path());
        assert_eq!((names.len(), notes), (MOST_DEEP - 1, vec![code::INCLUDE_LIMIT]));
    }

    #[test]
    fn too_many_files_are_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("main"), "include twice\n".repeat(MOST_FILES) + "includedir /\n").unwrap();
        fs::write(at("twice"), service("a")).unwrap();
        let (names, notes) = load(directory.path());
        assert_eq!((names.len(), notes), (MOST_FILES - 1, vec![code::INCLUDE_LIMIT]));
    }

    #[test]
    fn what_is_no_regular_file_is_never_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let made = io::pipe().unwrap();
        let pipe = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&made.0));
        let text = format!("include {pipe}\ninclude /dev/zero\ninclude /\ninclude /dev/null\n");
        fs::write(at("main"), text).unwrap();
        let (_, notes) = load(directory.path());
        assert_eq!(notes, [code::UNREADABLE; 3]);
        let main = read(Path::new(&pipe), directory.path(), &mut Vec::new()).unwrap_err();
        assert_eq!(main.to_string(), "not a regular file", "START-14");
        File::create(at("long")).unwrap().set_len(MOST_BYTES + 1).unwrap();
        let long = contents(&at("long"), MOST_BYTES).unwrap_err();
        assert_eq!(long.to_string(), "longer than 64 MiB");
        let more = contents(&at("main"), 10).unwrap_err();
        assert_eq!(more.to_string(), "longer than 64 MiB, together with the files before it");
    }

    #[test]
    fn each_file_may_have_one_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let defaults = "defaults\n{\n}\n".to_owned();
        let text = defaults.clone() + &defaults + "include other\n";
        fs::write(directory.path().join("main"), text).unwrap();
        fs::write(directory.path().join("other"), &defaults).unwrap();
        let (names, notes) = load(directory.path());
        assert_eq!((names.len(), notes), (2, vec![code::SECOND_DEFAULTS]), "DEF-1");
    }
}
