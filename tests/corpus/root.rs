//! The directory that is `/` to the files of the corpus.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::record::Mode;

/// Has what the files include.
pub(crate) struct Root(TempDir);

impl Root {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/xinetd.d")).unwrap();
        fs::create_dir_all(root.path().join("c")).unwrap();
        fs::write(root.path().join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        Self(root)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where to read what `path` is in this mode: itself, if nothing has to be altered in it.
    /// A directory holds the file `main`, and directories that it includes.
    pub(crate) fn place(&self, path: &Path, mode: Mode) -> PathBuf {
        if !path.is_dir() {
            return self.file(path, mode);
        }
        let included = self.path().join("c/t");
        if included.exists() {
            fs::remove_dir_all(&included).unwrap(); // of another one
        }
        for directory in entries(path).filter(|entry| entry.is_dir()) {
            let to = included.join(directory.file_name().unwrap());
            fs::create_dir_all(&to).unwrap();
            for file in entries(&directory).filter(|entry| entry.is_file()) {
                let to = to.join(file.file_name().unwrap());
                fs::write(to, self.altered(&fs::read(&file).unwrap(), mode)).unwrap();
            }
        }
        self.file(&path.join("main"), mode)
    }

    fn file(&self, path: &Path, mode: Mode) -> PathBuf {
        let text = fs::read(path).unwrap();
        let altered = self.altered(&text, mode);
        if altered == text {
            return path.to_owned();
        }
        let placed = self.path().join("c/svc");
        fs::write(&placed, altered).unwrap();
        placed
    }

    /// `text` with its includes below this directory, and switched on where the mode says so.
    fn altered(&self, text: &[u8], mode: Mode) -> Vec<u8> {
        let alter = |line: &[u8]| {
            let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            match words.collect::<Vec<_>>()[..] {
                [word @ (b"include" | b"includedir"), path, ..] if path.starts_with(b"/") => {
                    [word, b" ", self.path().as_os_str().as_encoded_bytes(), path].concat()
                }
                [b"disable", b"=", ..] if mode == Mode::Enabled => b"disable = no".to_vec(),
                _ => line.to_vec(),
            }
        };
        text.split(|byte| *byte == b'\n').map(alter).collect::<Vec<_>>().join(&b'\n')
    }
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path())
}
