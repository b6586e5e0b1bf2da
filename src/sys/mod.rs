//! The kernel and the C library, made safe. The only room with `unsafe`.
#![expect(unsafe_code, reason = "what the C library and the kernel offer is wrapped here, once")]

pub mod names;
