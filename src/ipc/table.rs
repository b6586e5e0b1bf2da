//! Which message is permitted in which state, and whether a descriptor belongs to it.

/// The kinds of messages; the number is the first byte on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    // engine to monitor
    Hello = 1,
    Adopted,
    Start,
    Serve,
    Refused,
    Noticed,
    AskBanner,
    Sensed,
    UserId,
    NoId,
    Began,
    Ended,
    Answered,
    Checked,
    Counted,
    Stopped,
    // monitor to engine
    Plan,
    Listener,
    Running,
    LockOut,
    Commit,
    NotStarted,
    Again,
    Exited,
    Banner,
    Check,
    Stop,
    Drain,
    Leave,
    End,
    Gate,
    LetIn,
}

impl Kind {
    const ALL: [Self; 32] = [
        Self::Hello,
        Self::Adopted,
        Self::Start,
        Self::Serve,
        Self::Refused,
        Self::Noticed,
        Self::AskBanner,
        Self::Sensed,
        Self::UserId,
        Self::NoId,
        Self::Began,
        Self::Ended,
        Self::Answered,
        Self::Checked,
        Self::Counted,
        Self::Stopped,
        Self::Plan,
        Self::Listener,
        Self::Running,
        Self::LockOut,
        Self::Commit,
        Self::NotStarted,
        Self::Again,
        Self::Exited,
        Self::Banner,
        Self::Check,
        Self::Stop,
        Self::Drain,
        Self::Leave,
        Self::End,
        Self::Gate,
        Self::LetIn,
    ];

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// How a descriptor goes with this kind of message.
    #[must_use]
    pub const fn carries(self) -> Carries {
        match self {
            Self::Start | Self::Plan | Self::Listener | Self::Again => Carries::One,
            Self::Banner => Carries::Perhaps,
            Self::Hello
            | Self::Adopted
            | Self::Serve
            | Self::Refused
            | Self::Noticed
            | Self::AskBanner
            | Self::Sensed
            | Self::UserId
            | Self::NoId
            | Self::Began
            | Self::Ended
            | Self::Answered
            | Self::Checked
            | Self::Counted
            | Self::Stopped
            | Self::Running
            | Self::LockOut
            | Self::Commit
            | Self::NotStarted
            | Self::Exited
            | Self::Check
            | Self::Stop
            | Self::Drain
            | Self::Leave
            | Self::End
            | Self::Gate
            | Self::LetIn => Carries::None,
        }
    }
}

/// Whether a descriptor comes with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carries {
    None,
    One,
    Perhaps,
}

/// Where a conversation stands; the engine's words move it, seen from the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The engine has been started and has said nothing.
    Greeting,
    /// The first plan is on its way: nothing is open yet.
    Opening,
    /// A plan is in force.
    Serving,
    /// A plan is in force and the next one is on its way.
    Reloading,
    /// The engine was told to stop.
    Stopping,
}

impl State {
    /// Whether the engine may send this now.
    #[must_use]
    pub const fn permits(self, kind: Kind) -> bool {
        match kind {
            Kind::Hello => matches!(self, Self::Greeting | Self::Stopping),
            Kind::Adopted => matches!(self, Self::Opening | Self::Reloading | Self::Stopping),
            Kind::Start
            | Kind::Serve
            | Kind::Refused
            | Kind::Noticed
            | Kind::AskBanner
            | Kind::Sensed
            | Kind::UserId
            | Kind::NoId
            | Kind::Began
            | Kind::Ended
            | Kind::Answered
            | Kind::Checked
            | Kind::Counted => {
                matches!(self, Self::Serving | Self::Reloading | Self::Stopping)
            }
            Kind::Stopped => matches!(self, Self::Stopping),
            Kind::Plan
            | Kind::Listener
            | Kind::Running
            | Kind::LockOut
            | Kind::Commit
            | Kind::NotStarted
            | Kind::Again
            | Kind::Exited
            | Kind::Banner
            | Kind::Check
            | Kind::Stop
            | Kind::Drain
            | Kind::Leave
            | Kind::End
            | Kind::Gate
            | Kind::LetIn => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_names_one_kind() {
        for (position, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, position + 1);
            assert_eq!(Kind::from_number(kind as u8), Some(kind));
        }
        assert_eq!(Kind::from_number(0), None);
        assert_eq!(Kind::from_number(33), None);
    }

    #[test]
    fn an_engine_may_greet_only_first_unless_it_is_told_to_stop_before() {
        assert!(State::Stopping.permits(Kind::Hello));
        assert!(!State::Opening.permits(Kind::Hello));
    }

    #[test]
    fn an_engine_that_has_not_greeted_may_only_greet() {
        for kind in Kind::ALL {
            assert_eq!(State::Greeting.permits(kind), kind == Kind::Hello, "{kind:?}");
        }
    }

    #[test]
    fn nothing_starts_before_the_first_plan_is_in_force() {
        assert!(!State::Opening.permits(Kind::Start));
        assert!(State::Serving.permits(Kind::Start));
        assert!(!State::Serving.permits(Kind::Adopted), "once per commit");
        assert!(!State::Serving.permits(Kind::Hello), "once");
    }

    #[test]
    fn words_of_the_monitor_are_never_the_engines() {
        use State::{Greeting, Opening, Reloading, Serving, Stopping};
        for state in [Greeting, Opening, Serving, Reloading, Stopping] {
            for kind in Kind::ALL.into_iter().filter(|kind| *kind as u8 > Kind::Stopped as u8) {
                assert!(!state.permits(kind));
            }
        }
    }
}
