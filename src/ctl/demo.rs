//! stub
use super::DemoArgs;
pub(super) fn run(_args: &DemoArgs) -> Result<(), String> {
    Err(String::new())
}
