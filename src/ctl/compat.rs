//! `--inetd-compat`, for every command that reads a configuration.

use std::path::{Path, PathBuf, absolute};

use clap::Args;

use crate::config::INETD_CONF;

/// The file of the old inetd, if it counts.
#[derive(Debug, Default, Args)]
pub(super) struct Compat {
    /// Read FILE too, /etc/inetd.conf unless named, as `xinetd -inetd_compat` does
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true,
          default_missing_value = INETD_CONF)]
    inetd_compat: Option<PathBuf>,
}

impl Compat {
    /// The file, absolute; a relative one begins at `base`.
    pub(super) fn file(&self, base: &Path) -> Option<PathBuf> {
        let path = self.inetd_compat.as_ref()?;
        Some(absolute(path).unwrap_or_else(|_| base.join(path)))
    }
}
