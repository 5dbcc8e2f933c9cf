//! The library's spans and events as debug lines of the log.
//!
//! A span is written when it closes, with how long it took. The subscriber is installed only for
//! `--debug`, because without one a span of the library costs one load and nothing else.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::log::{Level, Log};

struct Span {
    text: String,
    began: Instant,
    handles: usize,
}

struct State {
    log: Log,
    next: u64,
    open: HashMap<u64, Span>,
}

/// Writes spans and events to a log.
pub(crate) struct Lines(Mutex<State>);

impl Lines {
    /// A subscriber that writes to `log`.
    pub(crate) fn new(log: Log) -> Self {
        Self(Mutex::new(State { log, next: 1, open: HashMap::new() }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut text = Text(attributes.metadata().name().to_owned());
        attributes.record(&mut text);
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.open.insert(id, Span { text: text.0, began: Instant::now(), handles: 1 });
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        if let Some(span) = self.state().open.get_mut(&id.into_u64()) {
            let mut text = Text(std::mem::take(&mut span.text));
            values.record(&mut text);
            span.text = text.0;
        }
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR | tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            tracing::Level::DEBUG | tracing::Level::TRACE => Level::Debug,
        };
        // An error of level `error` is what managers take for the reason of a failure, and only
        // `main` knows whether there is one: an event is never more than a warning.
        self.state().log.write(level, text.0.trim_start());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        if let Some(span) = self.state().open.get_mut(&id.into_u64()) {
            span.handles += 1;
        }
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut state = self.state();
        let Some(span) = state.open.get_mut(&id.into_u64()) else { return false };
        span.handles -= 1;
        if span.handles > 0 {
            return false;
        }
        if let Some(span) = state.open.remove(&id.into_u64()) {
            let took = span.began.elapsed();
            state.log.write(Level::Debug, &format!("{}: {took:?}", span.text));
        }
        true
    }
}

/// Fields as ` name=value`, the message bare.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let written = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        // Writing to a String fails only where a Debug implementation says so; the rest still counts.
        written.unwrap_or_default();
    }
}
