//! Room `monitor`.
