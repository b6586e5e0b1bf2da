//! What the Debian package says about itself is what the crate says.

use std::fs;

#[test]
fn the_package_has_the_version_of_the_crate() {
    let changelog = fs::read_to_string("debian/changelog").unwrap();
    let newest = format!("xinetd-rs ({}) ", env!("CARGO_PKG_VERSION"));
    assert!(changelog.starts_with(&newest), "debian/changelog does not begin with `{newest}`");
}
