//! Room `diag`.
