//! Room `admit`.
