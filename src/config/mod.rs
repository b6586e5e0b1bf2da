//! Room `config`.
pub mod lookup;
