//! 64 bytes through both decoders: whatever is a message means the same after a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use xinetd_rs::ipc::{Message, ToEngine, ToMonitor};

fuzz_target!(|bytes: &[u8]| {
    let mut packet = [0; 64];
    for (place, byte) in packet.iter_mut().zip(bytes) {
        *place = *byte;
    }
    if let Ok(message) = ToMonitor::decode(&packet) {
        assert_eq!(ToMonitor::decode(&message.encode()), Ok(message));
        assert!(ToEngine::decode(&packet).is_err(), "a message belongs to one direction");
    }
    if let Ok(message) = ToEngine::decode(&packet) {
        assert_eq!(ToEngine::decode(&message.encode()), Ok(message));
    }
});
