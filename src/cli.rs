//! xinetd(8) options.
