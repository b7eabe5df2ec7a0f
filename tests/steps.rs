//! A decoder goes on token by token over several nodes, whatever becomes of its states.

use crate::{
    cluster::{Node, name, nodes, until},
    split::{cut, load, model, models, plan, same},
    support::{block_on, cpu, gpu},
};
use burst_adapters::fabric::Hub;
use burst_host::{
    mechanisms::session,
    nouns::{Element, Ledger, Tensor},
    ports::Session,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Steps of a decoder, and what may happen between them.
async fn steps(session: &mut dyn Session, count: usize, mut between: impl FnMut(usize)) -> Vec<Vec<Tensor>> {
    let mut answers = Vec::new();
    for step in 0..count {
        answers.push(token(session, step, (step as i64 * 37 + 5) % 2000).await);
        session.commit();
        between(step);
    }
    answers
}

/// One step of a decoder.
async fn token(session: &mut dyn Session, step: usize, token: i64) -> Vec<Tensor> {
    let token = Tensor::from_slice(Element::I64, [1, 1], &[token]).unwrap();
    let position = Tensor::from_slice(Element::I64, [1], &[step as i64]).unwrap();
    let inputs = vec![("input_ids".into(), token), ("position".into(), position)];
    let outputs = session.step(inputs, Instant::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["logits"], "states stay");
    outputs.into_iter().map(|(_, tensor)| tensor).collect()
}

fn replayed(nodes: &[Node]) -> u64 {
    nodes.iter().map(|node| node.member.relay.counts.replayed_steps.get()).sum()
}

/// A decoder goes on token by token when the node that had the states of its middle is gone.
#[test]
fn states_are_replayed_where_they_were_lost() {
    let Some(model) = model("gpt2_l8_c64") else { return };
    let directory = cut(&model, ["--parts", "8"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let expected = steps(&mut *session::open(whole, &Ledger::unlimited()), 12, |_| {}).await;
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.8).await;
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.nodes().count() == 6).await;
        let gone = |step| {
            if step == 6 {
                hub.remove(&name("b.hall"));
            }
        };
        let mut session = session::open(program, &Ledger::unlimited());
        let found = steps(&mut *session, 12, gone).await;
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            same(found, expected, &format!("step {step}"));
        }
        assert!(replayed(&nodes) > 0, "nothing was replayed");
        let kept = |node: &Node| node.member.relay.sessions() > 0;
        assert!([0, 2].iter().all(|&node| kept(&nodes[node])), "the states are with their stages");
        drop(session);
        let until = Instant::now() + Duration::from_secs(10);
        while [0, 2].iter().any(|&node| kept(&nodes[node])) {
            assert!(Instant::now() < until, "a session has ended, and a node keeps its states");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

/// What a GPU of one node had of a session is replayed, there or elsewhere.
#[test]
fn states_are_replayed_where_their_gpu_was_lost() {
    let (Some(model), Some(gpu)) = (model("gpt2_l8_c64"), gpu()) else { return };
    let directory = cut(&model, ["--parts", "8"]);
    block_on(async {
        let hub = Hub::default();
        let fabric = Arc::new(hub.join(name("a.hall")).unwrap());
        let node = Node::join_with(gpu.clone(), fabric, u64::MAX).await;
        let program = node.spread(directory.path()).await;
        let run = async |lose: &dyn Fn(usize)| {
            steps(&mut *session::open(program.clone(), &Ledger::unlimited()), 6, lose).await
        };
        let expected = run(&|_| {}).await;
        let lose = |step| {
            if step == 3 {
                gpu.lose();
            }
        };
        for (step, (found, expected)) in run(&lose).await.iter().zip(&expected).enumerate() {
            same(found, expected, &format!("step {step}"));
        }
        assert_eq!(replayed(&[node]), 4);
    });
}

/// A step that was made, and whose answer nobody took on, is made again from the states before it.
#[test]
fn a_step_that_is_taken_back_costs_no_replay() {
    let Some(model) = model("gpt2_l8_c64") else { return };
    let directory = cut(&model, ["--parts", "8"]);
    let whole = load(&models(cpu()), &model).unwrap();
    block_on(async {
        let expected = steps(&mut *session::open(whole, &Ledger::unlimited()), 8, |_| {}).await;
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.8).await;
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.nodes().count() == 6).await;
        let mut session = session::open(program, &Ledger::unlimited());
        for (step, expected) in expected.iter().enumerate() {
            for other in [77, 88] {
                token(&mut *session, step, other).await;
                session.rollback();
            }
            same(&token(&mut *session, step, (step as i64 * 37 + 5) % 2000).await, expected, &format!("step {step}"));
            session.commit();
        }
        assert_eq!(replayed(&nodes), 0);
    });
}

/// As many sequences as an operator allows go on side by side, as far as their states have room.
#[test]
fn a_hundred_sessions_go_on_side_by_side() {
    let Some(model) = model("gpt2_l8_c64") else { return };
    let directory = cut(&model, ["--parts", "8"]);
    block_on(async {
        let hub = Hub::default();
        let nodes = nodes(&hub, &plan(&directory), 0.8).await;
        let program = nodes[0].spread(directory.path()).await;
        until(&nodes, &directory, |spread| spread.nodes().count() == 6).await;
        let mut sessions: Vec<_> = (0..100).map(|_| session::open(program.clone(), &Ledger::unlimited())).collect();
        let mut answers = Vec::new();
        for step in 0..3 {
            for (index, session) in sessions.iter_mut().enumerate() {
                answers.push(token(&mut **session, step, 5 + index as i64 % 2).await);
                session.commit();
            }
        }
        for (index, answer) in answers.iter().enumerate() {
            same(answer, &answers[index / 100 * 100 + index % 2], &format!("answer {index}"));
        }
        assert_eq!(replayed(&nodes), 0, "a session gave way");
        assert!(nodes.iter().all(|node| [0, 100].contains(&node.member.relay.sessions())));
    });
}
