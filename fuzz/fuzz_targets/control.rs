//! A line from a client of the control socket: nothing but a request is one, and one means the
//! same whoever writes it down.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xinetd_rs::control::Request;

fuzz_target!(|line: &[u8]| {
    if let Ok(request) = Request::parse(line) {
        let written = request.line();
        assert!(!written.trim_end().contains('\n'), "a request is one line");
        assert_eq!(Request::parse(written.as_bytes()).ok(), Some(request));
    }
});
