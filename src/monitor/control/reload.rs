//! `xinetctl reload`: what SIGHUP does, with an answer.

use std::time::Instant;

use crate::config::Loaded;
use crate::config::report::Form;
use crate::control::{Answer, Difference, LeftOut, Level, Note};
use crate::diag::{Diagnostic, Severity, Sources, printable};
use crate::monitor::Monitor;
use crate::monitor::control::Control;
use crate::monitor::control::client::Client;
use crate::monitor::control::left_out::place;

/// What somebody who waits for a reload wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    form: Form,
    /// The reload that it waits for is under way; else one before it is.
    has_begun: bool,
}

impl Waiter {
    const fn new(colour: Option<bool>) -> Self {
        let form = match colour {
            Some(colour) => Form::Human { colour },
            None => Form::Short,
        };
        Self { form, has_begun: false }
    }
}

impl Monitor {
    /// Begins a reload, or has one follow that is under way; answered at its end.
    pub(super) fn reload_for(&mut self, number: usize, colour: Option<bool>) -> Result<(), String> {
        self.refuse_at_the_end()?;
        if let Some(client) = self.control.clients.get_mut(number) {
            client.wait_for(Waiter::new(colour));
        }
        self.reload();
        Ok(())
    }
}

impl Control {
    /// Who waits from now on waits for the reload after this one.
    pub(in crate::monitor) fn reload_begins(&mut self) {
        for client in &mut self.clients {
            client.waiter_mut().into_iter().for_each(|waiter| waiter.has_begun = true);
        }
    }

    /// What is worth telling about the files.
    pub(in crate::monitor) fn tell_notes(&mut self, loaded: &Loaded) {
        for (client, form) in self.waiting() {
            let notes = loaded.notes.iter();
            notes.for_each(|it| client.tell(&Answer::Note(note(it, &loaded.sources, form))));
        }
    }

    /// An entry without a mistake that cannot be had all the same.
    pub(in crate::monitor) fn tell_left_out(&mut self, entry: &LeftOut) {
        let LeftOut { id, place, why, .. } = entry;
        let message = format!("service {id}: {why}");
        let text = format!("{}\n", printable(&format!("{place}: error: {message}")));
        let (level, code, place) = (Level::Error, "not-to-be-had".to_owned(), place.clone());
        let note = Answer::Note(Note { level, code, place, message, text });
        self.waiting().for_each(|(client, _)| client.tell(&note));
    }

    /// Nothing has been taken over.
    pub(in crate::monitor) fn reload_failed(&mut self, why: &str) {
        self.reload_ends(&[Answer::Failed { why: why.to_owned() }]);
    }

    /// All of it is in force.
    pub(in crate::monitor) fn reload_done(&mut self, difference: Difference) {
        self.reload_ends(&[Answer::Difference(difference), Answer::Done {}]);
    }

    fn reload_ends(&mut self, answers: &[Answer]) {
        let now = Instant::now();
        self.waiting().for_each(|(client, _)| client.finish(answers, now));
    }

    /// Those whose reload this is.
    fn waiting(&mut self) -> impl Iterator<Item = (&mut Client, Form)> {
        self.clients.iter_mut().filter_map(|client| {
            let waiter = client.waiter_mut().filter(|waiter| waiter.has_begun).map(|it| it.form);
            waiter.map(|form| (client, form))
        })
    }
}

fn note(note: &Diagnostic, sources: &Sources, form: Form) -> Note {
    Note {
        level: match note.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
            Severity::Note => Level::Note,
        },
        code: note.code.to_owned(),
        place: place(sources, note.span),
        message: note.message.clone(),
        text: form.text(note, sources),
    }
}
