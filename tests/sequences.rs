//! Clients go on token by token while the states stay with the house, on one box or over several.

use crate::{
    split::{cut, load, model, models},
    support::{
        Burst, House, asking, block_on,
        cluster::{Cluster, Served},
        cpu, eventually, gpu, python, root,
    },
};
use burst_host::{
    loops::serve::{Answer, ServeError},
    mechanisms::sequences::{SequenceError, Sequences},
    nouns::{Element, Port, Sequence, SequenceId, Tensor},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub const MODEL: &str = "gpt2_l8_c64";
/// Whatever step goes on from other states than its own, another text follows.
pub const PROMPT: [i64; 3] = [186, 599, 1093];
const OTHER: [i64; 3] = [267, 1626, 1921];
pub const COUNT: usize = 12;

fn inputs(token: i64, position: usize) -> [(&'static str, Tensor); 2] {
    let token = Tensor::from_slice(Element::I64, [1, 1], &[token]).unwrap();
    [("input_ids", token), ("position", Tensor::from_slice(Element::I64, [1], &[position as i64]).unwrap())]
}

fn likeliest(logits: &Tensor) -> i64 {
    let scores: Vec<f32> = logits.to_vec().unwrap();
    (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b]).then(b.cmp(&a))).unwrap() as i64
}

/// What the whole model says, its states carried from run to run by hand.
pub fn by_hand(model: &Path, prompt: &[i64], count: usize) -> Vec<i64> {
    let program = load(&models(cpu()), model).unwrap();
    let (takes, yields) = (program.signature().inputs.clone(), program.signature().outputs.clone());
    let zeros = |port: &Port| port.zeros(|_| 0).unwrap();
    let mut states: Vec<(String, Tensor)> = takes.iter().map(|port| (port.name.clone(), zeros(port))).collect();
    let mut text = prompt.to_vec();
    for position in 0..prompt.len() + count - 1 {
        let given = inputs(text[position], position);
        let find = |port: &Port| {
            let fresh = given.iter().find(|(name, _)| *name == port.name).map(|(_, tensor)| tensor);
            fresh
                .or_else(|| states.iter().find(|(name, _)| *name == port.name).map(|(_, state)| state))
                .cloned()
                .unwrap()
        };
        let ordered = takes.iter().map(find).collect();
        let outputs = block_on(program.run(ordered, Instant::now() + Duration::from_secs(60))).unwrap();
        let outputs: Vec<_> = yields.iter().map(|port| port.name.replace("present", "past")).zip(outputs).collect();
        if position + 1 >= prompt.len() {
            text.push(likeliest(&outputs.iter().find(|(name, _)| name == "logits").unwrap().1));
        }
        states = outputs;
    }
    text.split_off(prompt.len())
}

/// The model as a guest that `burst compile` made, in the repository: a house takes nothing from elsewhere.
fn compiled(model: &Path) -> (TempDir, String) {
    let directory = tempfile::tempdir_in(root().join("target")).unwrap();
    let component = directory.path().join("gpt2.wasm");
    let made = Burst::run(&["compile", model.to_str().unwrap(), "--output", component.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let name = component.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    (directory, name)
}

fn commas(prompt: &[i64]) -> String {
    prompt.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn at(id: u64, start: bool, end: bool) -> Option<Sequence> {
    Some(Sequence { id: SequenceId::Number(id), start, end })
}

/// A house with the compiled model.
async fn house(component: &str, rest: &str) -> House {
    House::new(component, &format!("pool = {{ ready = 1, max = 4 }}\nlimits = {{ deadline_ms = 30000 }}\n{rest}")).await
}

/// Gives the answer on, as a client that reads it does.
fn token(answer: Result<Answer, ServeError>) -> i64 {
    let mut answer = answer.unwrap();
    assert_eq!(answer.outputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["logits"], "states stay");
    answer.step.take().expect("it is a step of a sequence").commit();
    likeliest(&answer.outputs[0].1)
}

/// Asks for what comes after a prompt.
async fn text(house: &House, id: u64, prompt: &[i64], count: usize) -> Vec<i64> {
    let mut text = prompt.to_vec();
    for position in 0..prompt.len() + count - 1 {
        let next = token(house.ask_in(at(id, position == 0, false), &inputs(text[position], position)).await);
        if position + 1 >= prompt.len() {
            text.push(next);
        }
    }
    text.split_off(prompt.len())
}

#[test]
fn triton_clients_get_the_tokens_of_the_whole_model() {
    let (Some(model), Some(python)) = (model(MODEL), python()) else { return };
    let (directory, _) = compiled(&model);
    let manifest = directory.path().join("burst.toml");
    fs::write(
        &manifest,
        "[guests.gpt2]\ncomponent = \"gpt2.wasm\"\nlimits.deadline_ms = 30000\nsequences = { max = 2, idle_ms = 600 }\n",
    )
    .unwrap();
    let burst = Burst::serve(&manifest);
    let (status, config) = burst.get("/v2/models/gpt2/config");
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((status, config["sequence_batching"]["max_sequence_idle_microseconds"].as_u64()), (200, Some(600_000)));
    let optional = |name: &str| config["input"].as_array().unwrap().iter().find(|input| input["name"] == name).unwrap();
    assert_eq!(optional("past_key_0")["optional"], true);
    assert!(optional("input_ids").get("optional").is_none());

    let mut client = Command::new(python);
    client.arg(root().join("tests/clients/sequences_client.py")).arg(burst.http.to_string()).args(["gpt2", "12"]);
    let output = client.args([PROMPT, OTHER].map(|prompt| commas(&prompt))).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    for (name, prompt) in [("7 ", PROMPT), ("a text ", OTHER)] {
        let tokens: Vec<i64> = told.lines().filter_map(|line| line.strip_prefix(name)?.parse().ok()).collect();
        assert_eq!(tokens, by_hand(&model, &prompt, COUNT), "{name}");
    }
    refusals(&burst);
}

/// What the wire says of steps that can't be.
fn refusals(burst: &Burst) {
    let post = |parameters: &str| {
        let body = r#""inputs":[{"name":"input_ids","datatype":"INT64","shape":[1,1],"data":[5]},
            {"name":"position","datatype":"INT64","shape":[1],"data":[0]}]"#;
        burst.post(
            "/v2/models/gpt2/infer",
            &format!(r#"{{"parameters":{{{parameters}}},{body},"outputs":[{{"name":"logits"}}]}}"#),
        )
    };
    let check = |parameters: &str, status: u16, part: &str| {
        let (found, body) = post(parameters);
        assert!(found == status && body.contains(part), "{parameters}: {found} {body}");
    };
    let open = |count: usize| {
        let metrics = burst.get_metrics().1;
        assert!(metrics.contains(&format!("burst_sequences{{guest=\"gpt2\"}} {count}\n")), "{metrics}");
    };
    open(0);
    check("", 400, "`past_key_0` is missing; the requests of a sequence may leave it out");
    check(r#""sequence_id":1"#, 400, "begin it with sequence_start");
    check(r#""sequence_start":true"#, 400, "need a `sequence_id`");
    check(r#""sequence_id":1,"sequence_start":true"#, 200, "logits");
    check(r#""sequence_id":"1","sequence_start":true"#, 200, "logits");
    open(2);
    check(r#""sequence_id":2,"sequence_start":true"#, 429, "as many as sequences.max allows");
    check(r#""sequence_id":1,"sequence_end":true"#, 200, "logits");
    check(r#""sequence_id":1"#, 400, "begin it with sequence_start");
    check(r#""sequence_id":2,"sequence_start":true"#, 200, "logits");
    std::thread::sleep(Duration::from_millis(1500));
    open(0);
    check(r#""sequence_id":2"#, 400, "begin it with sequence_start");
}

#[test]
fn a_step_that_failed_is_made_again() {
    let Some(model) = model(MODEL) else { return };
    let (expected, (_directory, component)) = (by_hand(&model, &PROMPT, COUNT), compiled(&model));
    block_on(async {
        let house = house(&component, "").await;
        let mut all = PROMPT.to_vec();
        for position in 0..PROMPT.len() + COUNT - 1 {
            let sequence = at(1, position == 0, false);
            // In time for no guest, refused by the model, and answered without anybody who takes the answer on.
            let mut late = asking(sequence.clone(), &inputs(all[position], position));
            late.timeout = Some(Duration::from_micros(1500));
            match house.service.answer(late).await {
                Err(error) => assert_eq!(error, ServeError::TimedOut),
                Ok(answer) => drop(answer),
            }
            let outside = house.ask_in(sequence.clone(), &inputs(-1_000_000, position)).await;
            assert!(matches!(outside, Err(ServeError::Refused(_))), "{outside:?}");
            drop(house.ask_in(sequence.clone(), &inputs(77, position)).await.unwrap());
            let next = token(house.ask_in(sequence, &inputs(all[position], position)).await);
            if position + 1 >= PROMPT.len() {
                all.push(next);
            }
        }
        assert_eq!(all.split_off(PROMPT.len()), expected);
    });
}

#[test]
fn sequences_begin_again_and_end() {
    let Some(model) = model(MODEL) else { return };
    let (expected, other) = (by_hand(&model, &PROMPT, 4), by_hand(&model, &OTHER, 4));
    let (_directory, component) = compiled(&model);
    block_on(async {
        let house = house(&component, "").await;
        let sequences = house.deployment.sequences.clone().unwrap();
        assert_eq!(text(&house, 1, &PROMPT, 4).await, expected);
        // The states of one sequence.
        let held = 16 * 4 * 4 * 64 * 32;
        given_back(&sequences, 1, held).await;
        // A beginning that nobody takes on leaves what was before it.
        drop(house.ask_in(at(1, true, false), &inputs(8, 0)).await.unwrap());
        given_back(&sequences, 1, held).await;
        assert_eq!(text(&house, 1, &OTHER, 4).await, other);
        given_back(&sequences, 1, held).await;
        token(house.ask_in(at(1, false, true), &inputs(1, 6)).await);
        given_back(&sequences, 0, 0).await;
        let unknown = house.ask_in(at(1, false, false), &inputs(1, 7)).await;
        assert_eq!(unknown.unwrap_err(), ServeError::Sequence(SequenceError::Unknown(SequenceId::Number(1))));
    });
}

/// Waits until so many sequences hold so much: what a request held is given back behind its back.
async fn given_back(sequences: &Sequences, open: usize, bytes: usize) {
    eventually("states are given back", || (sequences.open(), sequences.held_bytes()) == (open, bytes)).await;
}

/// States are gone with the GPU that had them: the step fails and says so, and the sequence begins anew.
#[test]
fn a_sequence_ends_with_its_gpu() {
    let (Some(model), Some(gpu)) = (model(MODEL), gpu()) else { return };
    let (_directory, component) = compiled(&model);
    block_on(async {
        let house =
            House::on(gpu.clone(), &component, "pool = { ready = 1, max = 4 }\nlimits.deadline_ms = 60000").await;
        let expected = text(&house, 1, &PROMPT, 2).await;
        for _ in 0..2 {
            gpu.lose();
            let lost = house.ask_in(at(1, false, false), &inputs(5, 4)).await;
            assert!(matches!(lost, Err(ServeError::DeviceLost)), "{:?}", lost.map(drop));
            let unknown = house.ask_in(at(1, false, false), &inputs(5, 4)).await;
            assert_eq!(unknown.unwrap_err(), ServeError::Sequence(SequenceError::Unknown(SequenceId::Number(1))));
            assert_eq!(text(&house, 1, &PROMPT, 2).await, expected);
        }
    });
}

#[test]
fn a_sequence_makes_one_step_at_a_time() {
    let Some(model) = model(MODEL) else { return };
    let (_directory, component) = compiled(&model);
    block_on(async {
        let house = house(&component, "").await;
        let inputs = inputs(5, 0);
        let (first, second, other) = tokio::join!(
            house.ask_in(at(1, true, false), &inputs),
            house.ask_in(at(1, true, false), &inputs),
            house.ask_in(at(2, true, false), &inputs),
        );
        assert_eq!(token(first), token(other));
        assert_eq!(second.unwrap_err(), ServeError::Sequence(SequenceError::Busy(SequenceId::Number(1))));
    });
}

#[test]
fn states_have_a_limit() {
    let Some(model) = model(MODEL) else { return };
    let (_directory, component) = compiled(&model);
    block_on(async {
        let house = house(&component, "sequences = { state_max_bytes = 1200000 }").await;
        token(house.ask_in(at(1, true, false), &inputs(5, 0)).await);
        let refused = house.ask_in(at(2, true, false), &inputs(5, 0)).await;
        assert!(matches!(&refused, Err(ServeError::Refused(why)) if why.contains("state_max_bytes")), "{refused:?}");
        assert_eq!(house.deployment.sequences.as_ref().unwrap().open(), 1);
    });
}

/// The model in eight fragments over three nodes, for the guest that runs whatever graph it is granted.
pub fn spread(model: &Path) -> Option<Cluster> {
    let directory = cut(model, ["--parts", "8"]);
    let plan = crate::split::plan(&directory);
    let held: u64 = plan.fragments.iter().map(|fragment| fragment.memory.total() + (2 << 20)).sum();
    let guest = "models.graph = \"model\"\nlimits.deadline_ms = 60000";
    let component = root().join("guests/graph/graph.wasm");
    let cluster = Cluster::serving(Served { model: directory, component, guest, memory_bytes: held * 4 / 5 })?;
    cluster.settle(3, 2);
    Some(cluster)
}

#[test]
fn three_nodes_go_on_when_one_is_killed() {
    let (Some(model), Some(python)) = (model(MODEL), python()) else { return };
    let expected = by_hand(&model, &PROMPT, COUNT);
    let Some(mut cluster) = spread(&model) else { return };
    let mut client = cluster.command(1, &python);
    client.arg(root().join("tests/clients/sequences_client.py")).args(["127.0.0.1:8000", "guest", "12"]);
    client.arg(commas(&PROMPT));
    let mut client = client.stdout(Stdio::piped()).spawn().unwrap();
    let mut tokens = Vec::new();
    for line in BufReader::new(client.stdout.take().unwrap()).lines().map_while(Result::ok) {
        tokens.push(line.strip_prefix("7 ").unwrap().parse::<i64>().unwrap());
        if tokens.len() == 5 {
            cluster.end(2);
        }
    }
    assert!(client.wait().unwrap().success(), "{}", cluster.logs());
    assert_eq!(tokens, expected, "{}", cluster.logs());
    let replayed: u64 = [1, 3].iter().map(|&node| cluster.replayed_steps(node)).sum();
    assert!(replayed > 0, "nothing was replayed");
}
