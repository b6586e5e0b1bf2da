//! A file gets a new text at once: its readers see the old one or the new one.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::Path,
    process,
};

/// Replaces the file at `path`, which is no link, keeping its mode and owner.
///
/// # Errors
/// Of the system, and when the file does not hold `old` any more.
pub(super) fn replace(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    if fs::read(path)? != old {
        return Err(io::Error::other("it was changed in the meantime"));
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidFilename.into());
    };
    // A dot in it: `includedir` passes it over (INC-3).
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}", process::id()));
    let temporary = directory.join(temporary);
    let renamed = write_like(path, &temporary, new).and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        // Whatever is left there is ours and of no use.
        let _removed = fs::remove_file(&temporary);
    }
    renamed?;
    File::open(directory)?.sync_all()
}

fn write_like(model: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let model = fs::metadata(model)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (model.uid(), model.gid()) {
        fchown(&file, Some(model.uid()), Some(model.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(model.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_is_kept_and_nothing_is_left_beside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        replace(&path, b"old", b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_has_changed_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "newer").unwrap();
        assert!(replace(&path, b"old", b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
