//! What is said when a start or a reload is complete, and what has to wait for that.

use crate::control::Difference;
use crate::diag::count;
use crate::ipc::State;
use crate::monitor::Monitor;

/// What the operator waits for.
#[derive(Clone, Debug)]
pub(super) enum News {
    Started,
    Reconfigured(Difference),
}

impl Monitor {
    /// Whether the engine serves what is in force, rpcbind has been told, and it has been said.
    pub(super) fn is_settled(&self) -> bool {
        let is_known = self.registrar.is_idle() && self.registrar.unregistered.is_empty();
        self.is_served() && is_known && self.news.is_none()
    }

    fn is_served(&self) -> bool {
        self.reload.is_none() && self.engine.as_ref().is_some_and(|it| it.state == State::Serving)
    }

    /// Does what had to wait. A service that rpcbind does not know goes first, so that it is not
    /// counted (RPC-2).
    pub(super) fn settle(&mut self) {
        if self.stop_at.is_some() || !self.is_served() || !self.registrar.is_idle() {
            return;
        }
        let unregistered = std::mem::take(&mut self.registrar.unregistered);
        if !unregistered.is_empty() {
            if let Some(News::Reconfigured(difference)) = &mut self.news {
                let gone: Vec<_> =
                    unregistered.iter().filter_map(|index| self.services.find(*index)).collect();
                let stays = |id: &String| gone.iter().all(|active| active.service.id.0 != *id);
                let Difference { added, changed, reopened, .. } = difference;
                [added, changed, reopened].into_iter().for_each(|ids| ids.retain(stays));
            }
            self.withdraw(&unregistered);
            return;
        }
        if let Some(news) = self.news.take() {
            self.announce(news);
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload();
        }
    }

    fn announce(&mut self, news: News) {
        match news {
            News::Started => {
                let offered = count(self.services.available(), "available service");
                tracing::info!(
                    "xinetd-rs {} started with IPv6 privilege-separation options compiled in.",
                    env!("CARGO_PKG_VERSION")
                );
                tracing::info!("Started working: {offered}");
            }
            News::Reconfigured(difference) => {
                let Difference { added, changed, reopened, dropped, unchanged } = &difference;
                let (new, dropped) = (added.len(), dropped.len());
                let old = changed.len() + reopened.len() + unchanged;
                tracing::info!("Reconfigured: new={new} old={old} dropped={dropped} (services)");
                self.control.reload_done(difference);
            }
        }
        self.manager.ready();
    }
}
