//! A few pipes for all sessions: one is taken as long as bytes are in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::sys::pipe::Pipe;

/// The pipes of an engine.
#[derive(Debug)]
pub(super) struct Pipes {
    idle: RefCell<Vec<Rc<Pipe>>>,
    /// How many more may be made.
    more: Cell<usize>,
}

/// A pipe that goes back when it is empty, and away when it is not.
#[derive(Debug)]
pub(super) struct Loan {
    pub(super) pipe: Rc<Pipe>,
    /// Bytes in it.
    pub(super) held: usize,
    home: Rc<Pipes>,
}

impl Pipes {
    pub(super) fn new(most: usize) -> Rc<Self> {
        Rc::new(Self { idle: RefCell::default(), more: Cell::new(most) })
    }

    /// An empty pipe; `None` when all are in use, or there are no descriptors.
    pub(super) fn take(self: &Rc<Self>) -> Option<Loan> {
        let idle = self.idle.borrow_mut().pop();
        let pipe = idle.or_else(|| {
            let more = self.more.get().checked_sub(1)?;
            let pipe = Pipe::new().ok()?;
            self.more.set(more);
            Some(Rc::new(pipe))
        })?;
        Some(Loan { pipe, held: 0, home: Rc::clone(self) })
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.held == 0 {
            self.home.idle.borrow_mut().push(Rc::clone(&self.pipe));
        } else {
            self.home.more.set(self.home.more.get() + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_so_many_and_none_comes_back_with_bytes_in_it() {
        let pipes = Pipes::new(2);
        let (first, second) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none());
        drop(first);
        assert_eq!(pipes.idle.borrow().len(), 1);
        let mut third = pipes.take().unwrap();
        third.held = 1;
        drop(third);
        assert!(pipes.idle.borrow().is_empty());
        assert!(pipes.take().is_some(), "a new one in its place");
        drop(second);
    }
}
