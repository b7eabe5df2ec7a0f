//! The way of a request: from stage to stage, from node to node where one is lost, and back.

use super::{
    Held, PING, Relay, STAGE,
    pace::{self, Work},
    part::Part,
    sessions::Begin,
    suspects::BEAT,
    wire::{self, Call, Outcome, Turn, Values},
};
use crate::{
    nouns::{Digest, Fault, NodeName},
    ports::FabricError,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a request waits where nobody could take it, unless a new spread comes first.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a node that is suspected may take to show that it lives after all.
const LATE: Duration = Duration::from_secs(10);
/// How long a node may be silent before it is asked again; twice as long every time.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest that a call may take, whatever its caller says.
const BUDGET_MAX: Duration = Duration::from_secs(3600);

/// One request at one stage.
#[derive(Clone, Copy)]
struct Ask {
    request: u128,
    stage: usize,
    turn: Option<Turn>,
    deadline: Instant,
}

/// Why values came no further.
pub enum Halt {
    Fault(Fault),
    /// Another spread counts, here or there.
    Fenced,
    /// No node of the stage answers.
    Lost,
    /// The states of a session are those after so many steps.
    Behind(u64),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Relay {
    /// Runs a whole model: the inputs in, the outputs back. Where nodes are lost it waits for others to take their
    /// place until the deadline. A step of a session takes and yields everything but its states; the first one brings
    /// them.
    pub async fn run(
        &self,
        digest: Digest,
        values: Values,
        turn: Option<Turn>,
        deadline: Instant,
    ) -> Result<Values, Fault> {
        let ask = Ask { request: self.requests.next(), stage: 0, turn, deadline };
        let mut changes = self.changes();
        loop {
            if Instant::now() >= deadline {
                return Err(Fault::TimedOut);
            }
            if let Some(held) = self.current(&digest) {
                match self.pass(held, ask, values.clone()).await {
                    Ok(outputs) => return Ok(outputs),
                    Err(Halt::Fault(fault)) => return Err(fault),
                    Err(Halt::Behind(_)) => return Err(Fault::NotFound("the session".into())),
                    Err(Halt::Fenced | Halt::Lost) => {}
                }
            }
            let again = tokio::time::timeout_at((Instant::now() + AGAIN).min(deadline).into(), changes.changed());
            // Both ends of it mean: look again.
            let _ = again.await;
        }
    }

    /// A name for a session.
    pub fn open(&self) -> u128 {
        self.requests.next()
    }

    /// Gives values to whoever runs a stage, and comes back with the outputs of the model.
    fn pass(&self, held: Arc<Held>, ask: Ask, values: Values) -> BoxFuture<'_, Result<Values, Halt>> {
        Box::pin(async move {
            let Some(found) = held.spread.stages.get(ask.stage) else { return Ok(values) };
            let edge = ask.turn.map(|turn| (held.digest, turn.session, found.fragments.start));
            if let (Some(edge), Some(turn)) = (&edge, ask.turn)
                && !self.sessions.pass(edge, turn, &values)
            {
                return Err(Halt::Behind(0));
            }
            let mut nodes = found.nodes.clone();
            edge.iter().for_each(|edge| self.sessions.sort(edge, &mut nodes));
            self.suspects.sort(&mut nodes);
            let started = Instant::now();
            let mut missed = Halt::Lost;
            for (index, node) in nodes.iter().enumerate() {
                self.counts.replays.add(u64::from(index > 0));
                match self.give_all(&held, ask, node, &values).await {
                    // Another node of the stage may be there, or further.
                    Err(halt @ (Halt::Lost | Halt::Fenced)) => missed = halt,
                    Ok(outputs) => {
                        self.counts.pass.record(started.elapsed());
                        edge.iter().for_each(|edge| self.sessions.stick(edge, node));
                        return Ok(outputs);
                    }
                    Err(halt) => return Err(halt),
                }
            }
            Err(missed)
        })
    }

    /// Gives values to one node, and what it missed of the session before them.
    async fn give_all(&self, held: &Arc<Held>, ask: Ask, node: &NodeName, values: &Values) -> Result<Values, Halt> {
        let (given, turn) = match (self.give(held, ask, node, values).await, ask.turn) {
            (Err(Halt::Behind(steps)), Some(turn)) => (steps, turn),
            (given, _) => return given,
        };
        let start = held.spread.stages.get(ask.stage).map_or(0, |stage| stage.fragments.start);
        for step in given..turn.step {
            let edge = (held.digest, turn.session, start);
            let missed = self.sessions.passed(&edge, step).ok_or(Halt::Behind(0))?;
            let turn = Some(Turn { step, replay: true, ..turn });
            self.give(held, Ask { request: self.requests.next(), turn, ..ask }, node, &missed).await?;
        }
        self.counts.replayed_steps.add(turn.step.saturating_sub(given));
        self.give(held, ask, node, values).await
    }

    /// Gives values to one node.
    async fn give(&self, held: &Arc<Held>, ask: Ask, node: &NodeName, values: &Values) -> Result<Values, Halt> {
        if node == self.fabric.name() {
            return self.compute(held.clone(), ask, values.clone()).await;
        }
        let budget = ask.deadline.saturating_duration_since(Instant::now());
        let call = Call {
            request: ask.request,
            plan: held.digest,
            epoch: held.spread.epoch.clone(),
            stage: ask.stage,
            budget_ms: u64::try_from(budget.as_millis()).unwrap_or(u64::MAX),
            turn: ask.turn,
            suspects: self.suspects.all(),
        };
        let message = wire::write(call, values).map_err(|error| Fault::Invalid(error.to_string()))?;
        let sent_bytes = message.len();
        let (answer, took) = self.send(node, ask, message).await?;
        let bytes = sent_bytes + answer.len();
        match wire::read(answer) {
            Ok((Outcome::Done { took_us }, values)) => {
                let transfer = took.saturating_sub(Duration::from_micros(took_us));
                self.counts.transfer.record(transfer);
                self.transfers.note(node, bytes, transfer);
                Ok(values)
            }
            Ok((Outcome::Fault(Fault::DeviceLost) | Outcome::Lost, _)) => Err(Halt::Lost),
            Ok((Outcome::Fault(fault), _)) => Err(fault.into()),
            Ok((Outcome::Fenced, _)) => Err(Halt::Fenced),
            Ok((Outcome::Behind { steps }, _)) => Err(Halt::Behind(steps)),
            Err(error) => {
                self.counts.garbage.add(1);
                tracing::warn!(%node, %error, "an answer is none");
                Err(Halt::Lost)
            }
        }
    }

    /// Asks another node, unless it is found to give no sign of life. The answer, and how long it took.
    async fn send(&self, node: &NodeName, ask: Ask, message: Bytes) -> Result<(Bytes, Duration), Halt> {
        let awaited = self.suspects.await_answer(node);
        if let Some(relay) = self.this.upgrade().filter(|_| awaited.is_first()) {
            tokio::spawn(relay.watch(node.clone()));
        }
        tokio::select! {
            answer = self.insist(node, ask, message) => answer,
            () = self.suspects.suspected(node) => Err(Halt::Lost),
        }
    }

    /// Where a node is busy it is asked again: the credits say that it will have room. Where it is silent it is asked
    /// again, too: what it has begun it does not do twice, and an answer that was lost it has kept.
    async fn insist(&self, node: &NodeName, ask: Ask, message: Bytes) -> Result<(Bytes, Duration), Halt> {
        let waiting = Instant::now();
        let _credit = self.credits.take(node, ask.stage, ask.deadline).await.ok_or(Fault::TimedOut)?;
        self.counts.credit.record(waiting.elapsed());
        let mut patience = PATIENCE;
        loop {
            let called = Instant::now();
            let until = ask.deadline.min(called + patience);
            match self.fabric.call(node, STAGE, message.clone(), until).await {
                Ok(answer) => {
                    let took = called.elapsed();
                    self.suspects.answered(node, took);
                    return Ok((answer, took));
                }
                Err(FabricError::Busy(_)) => {
                    self.suspects.answered(node, called.elapsed());
                    tokio::time::sleep(AGAIN).await;
                }
                Err(FabricError::Unreachable(_)) => return Err(Halt::Lost),
                Err(FabricError::TimedOut) if Instant::now() >= ask.deadline => return Err(Fault::TimedOut.into()),
                Err(FabricError::TimedOut) => {
                    self.counts.repeats.add(1);
                    patience *= 2;
                }
                Err(FabricError::TooLarge { bytes }) => {
                    return Err(Fault::TooLarge(format!("{bytes} bytes between two nodes")).into());
                }
                Err(error @ (FabricError::Premises(_) | FabricError::Broken(_))) => {
                    return Err(Fault::Unsupported(error.to_string()).into());
                }
            }
        }
    }

    /// As long as anybody waits for a node's answers: where it says nothing it is asked for a sign of life, and suspected
    /// without one.
    async fn watch(self: Arc<Self>, node: NodeName) {
        loop {
            tokio::time::sleep(BEAT).await;
            if !self.suspects.goes_on(&node) {
                return;
            }
            if !self.suspects.is_silent(&node) || self.lives(&node, self.suspects.patience(&node)).await {
                continue;
            }
            self.counts.silent.add(1);
            self.suspect(&node);
        }
    }

    /// Asks a node for a sign of life.
    async fn lives(&self, node: &NodeName, within: Duration) -> bool {
        let asked = Instant::now();
        let answer = self.fabric.call(node, PING, Bytes::new(), asked + within).await;
        let lives = matches!(answer, Ok(_) | Err(FabricError::Busy(_)));
        if lives {
            self.suspects.lives(node, asked.elapsed());
        }
        lives
    }

    /// Suspects a node, and finds out whether it was only slow: then there is more patience with it.
    fn suspect(&self, node: &NodeName) {
        let (fresh, relay) = (self.suspects.add(node), self.this.upgrade());
        if let Some(relay) = relay.filter(|_| fresh) {
            let node = node.clone();
            tokio::spawn(async move { relay.lives(&node, LATE).await });
        }
    }

    /// Others suspect nodes of a spread: those are asked last here, too, until they show that they live.
    fn doubt(&self, nodes: &[NodeName], held: &Held) {
        let other = |node: &&NodeName| *node != self.fabric.name() && held.spread.nodes().any(|known| known == *node);
        for node in nodes.iter().filter(other) {
            if let Some(relay) = self.this.upgrade().filter(|_| self.suspects.doubt(node)) {
                let node = node.clone();
                tokio::spawn(async move { relay.lives(&node, LATE).await });
            }
        }
    }

    /// Runs a stage here, then passes on what the rest needs.
    async fn compute(&self, held: Arc<Held>, ask: Ask, mut values: Values) -> Result<Values, Halt> {
        // It is not loaded yet, or could not be.
        let part = held.stages.get(&ask.stage).cloned().ok_or(Halt::Lost)?;
        let fragments = held.spread.stages.get(ask.stage).map_or(0..0, |stage| stage.fragments.clone());
        let session = ask.turn.map(|turn| ((held.digest, turn.session, fragments.clone()), turn));
        let mut states = Vec::new();
        if let Some((key, turn)) = &session {
            states = part.states(&held.plan)?;
            match self.sessions.begin(key, *turn, ask.request) {
                Begin::With(kept) => values.extend(kept),
                Begin::Again(rest) => return self.pass_on(held, ask, rest).await,
                Begin::Behind(steps) => return Err(Halt::Behind(steps)),
                // Who asked has given up, and asked again.
                Begin::Late => return Err(Fault::TimedOut.into()),
            }
        }
        let bytes = values.iter().filter_map(|(_, value)| value.spec().bytes()).sum();
        let work = pace::work(held.digest, fragments.clone(), bytes);
        let made = self.take_turn(&part, work, &values, &states, ask.deadline).await;
        if let (Err(Halt::Lost), Some((key, _))) = (&made, &session) {
            // Its states were on the device that is gone.
            self.sessions.lose(key);
        }
        let (made, kept) = made?;
        let rest: Values = values.into_iter().chain(made).filter(|(name, _)| part.needed.contains(name)).collect();
        if let Some((key, turn)) = session {
            self.sessions.end(key, turn, ask.request, kept, &rest);
        }
        self.pass_on(held, ask, rest).await
    }

    async fn pass_on(&self, held: Arc<Held>, ask: Ask, rest: Values) -> Result<Values, Halt> {
        let next = Ask { stage: ask.stage + 1, ..ask };
        match ask.turn.filter(|turn| turn.replay) {
            None => self.pass(held, next, rest).await,
            Some(turn) => {
                let start = held.spread.stages.get(next.stage).map(|stage| stage.fragments.start);
                let known =
                    start.is_none_or(|start| self.sessions.pass(&(held.digest, turn.session, start), turn, &rest));
                if known { Ok(Vec::new()) } else { Err(Halt::Behind(0)) }
            }
        }
    }

    /// Runs a part when it is this node's turn for it: what it makes, and the states that stay here.
    async fn take_turn(
        &self,
        part: &Part,
        work: Work,
        values: &Values,
        states: &[(String, String)],
        deadline: Instant,
    ) -> Result<(Values, Values), Halt> {
        let arrived = Instant::now();
        let turn = tokio::time::timeout_at(deadline.into(), self.turn.acquire()).await;
        let _turn = turn.map_err(|_| Fault::TimedOut)?.map_err(|_| Halt::Lost)?;
        self.counts.queue.record(arrived.elapsed());
        let started = Instant::now();
        let made = part.run(values, states, deadline).await;
        let took = started.elapsed();
        self.counts.compute.record(took);
        if made.is_ok() {
            self.pace.note(work, took);
        }
        made.map_err(|fault| if fault == Fault::DeviceLost { Halt::Lost } else { fault.into() })
    }

    /// What another node asked for.
    pub(super) async fn answer(&self, call: Call, values: Values) -> Result<Values, Halt> {
        let Some(held) = self.held(&call.plan, &call.epoch) else {
            self.counts.fenced.add(1);
            return Err(Halt::Fenced);
        };
        self.doubt(&call.suspects, &held);
        let deadline = Instant::now() + Duration::from_millis(call.budget_ms).min(BUDGET_MAX);
        let ask = Ask { request: call.request, stage: call.stage, turn: call.turn, deadline };
        self.compute(held, ask, values).await
    }
}
