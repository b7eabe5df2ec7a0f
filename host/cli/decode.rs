//! `burst run --tokens`: goes on from a prompt, always with the likeliest token.

use burst_host::{
    mechanisms::session,
    nouns::{Element, Extent, Ledger, Port, Signature, Spec, Tensor},
    ports::{Accelerator, Device, Program},
};
use half::f16;
use miette::{IntoDiagnostic, Result, bail, miette};
use std::{
    io::Write,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

/// What exports call the input that takes tokens, and the output that scores words. Source, here and below: the exports
/// of Hugging Face's Optimum.
const TOKENS: &str = "input_ids";
const LOGITS: &str = "logits";
/// Inputs that take the place of each token, and a one for each token so far.
const POSITIONS: [&str; 2] = ["position_ids", "position"];
const MASK: &str = "attention_mask";

/// How a text goes on.
#[derive(clap::Args)]
pub struct Decode {
    /// Go on by so many tokens, each the likeliest, from the prompt that is the input of tokens
    #[arg(long)]
    pub tokens: Option<NonZeroUsize>,
    /// The input that takes tokens, where it is not input_ids
    #[arg(long, requires = "tokens")]
    token_input: Option<String>,
    /// The output that scores each word, where it is not logits
    #[arg(long, requires = "tokens")]
    logits: Option<String>,
    /// The token that ends a text
    #[arg(long, requires = "tokens")]
    end_token: Option<i64>,
}

/// Named tensors.
type Values = Vec<(String, Tensor)>;

impl Decode {
    /// Prints tokens as they come, `count` at most, and gives them all, INT64 `[1, n]`, and what computed the last.
    /// Each step has `deadline`.
    pub async fn run(
        &self,
        count: NonZeroUsize,
        program: Arc<dyn Program>,
        accelerator: &dyn Accelerator,
        inputs: Values,
        deadline: Duration,
    ) -> Result<(Tensor, Device)> {
        let text = Text::new(self, program.signature(), inputs)?;
        text.fits(count)?;
        let mut session = session::open(program.clone(), &Ledger::unlimited());
        let (mut made, mut seen, mut next) = (Vec::new(), 0, text.prompt.clone());
        while made.len() < count.get() && self.end_token.is_none_or(|end| made.last() != Some(&end)) {
            let mut outputs = Values::new();
            for tokens in next.chunks(text.width.unwrap_or(next.len())) {
                let inputs = text.inputs(tokens, seen)?;
                outputs = session.step(inputs, Instant::now() + deadline).await.into_diagnostic()?;
                seen += tokens.len();
            }
            let scores = outputs.iter().find(|(name, _)| *name == text.logits).map(|(_, scores)| scores);
            let scores = scores.ok_or_else(|| miette!("the model yields no `{}`", text.logits))?;
            let token = likeliest(&accelerator.download(scores).await.into_diagnostic()?)?;
            show(&format!("{}{token}", if made.is_empty() { "" } else { " " }));
            made.push(token);
            next = vec![token];
        }
        show("\n");
        let tokens = Tensor::from_slice(Element::I64, [1, made.len()], &made).into_diagnostic()?;
        Ok((tokens, session.device().clone()))
    }
}

/// What a model needs to be told at each step.
struct Text {
    tokens: Port,
    /// Tokens that one step takes; any number where it is left out.
    width: Option<usize>,
    positions: Option<Port>,
    mask: Option<Port>,
    logits: String,
    /// The same at every step.
    given: Values,
    prompt: Vec<i64>,
    /// Tokens that the caches of the model have room for.
    places: Option<usize>,
}

impl Text {
    fn new(decode: &Decode, signature: &Signature, mut given: Values) -> Result<Self> {
        if signature.states().next().is_none() {
            bail!(
                help = format!("the model is {signature}"),
                "the model keeps no states: no `past…` is `present…` again"
            );
        }
        let ports = signature.step_inputs();
        let name = decode.token_input.as_deref().unwrap_or(TOKENS);
        let tokens = ports.iter().find(|port| port.name == name).cloned();
        let tokens = tokens.ok_or_else(|| miette!(help = "--token-input names it", "no input is called `{name}`"))?;
        let at = given.iter().position(|(given, _)| given == name);
        let prompt = at.map(|at| given.swap_remove(at).1).ok_or_else(|| miette!("--input {name}=… is the prompt"))?;
        let unasked = |port: &&Port| !given.iter().any(|(name, _)| *name == port.name);
        let made =
            |names: &[&str]| ports.iter().filter(unasked).find(|port| names.contains(&port.name.as_str())).cloned();
        let (positions, mask) = (made(&POSITIONS), made(&[MASK]));
        let width = [Some(&tokens), positions.as_ref()].into_iter().flatten().filter_map(width).min();
        let places = signature.states().filter_map(|(state, _)| places(state)).min();
        let logits = decode.logits.clone().unwrap_or_else(|| LOGITS.into());
        let text = Self { tokens, width, positions, mask, logits, given, prompt: whole(&prompt)?, places };
        text.check(&ports, signature)?;
        Ok(text)
    }

    /// Whether everything that the model takes is known, and everything that is given is taken.
    fn check(&self, ports: &[Port], signature: &Signature) -> Result<()> {
        let made = [Some(&self.tokens), self.positions.as_ref(), self.mask.as_ref()];
        for port in ports.iter().filter(|port| !made.contains(&Some(*port))) {
            let value = self.given.iter().find(|(name, _)| *name == port.name);
            let unknown = || miette!("`{port}` takes neither tokens nor places nor a mask: --input gives it");
            fitting(port, &value.ok_or_else(unknown)?.1)?;
        }
        if let Some((name, _)) = self.given.iter().find(|(name, _)| !ports.iter().any(|port| port.name == *name)) {
            bail!("`{name}` is no input that can be given: states begin empty");
        }
        if !signature.outputs.iter().any(|port| port.name == self.logits) {
            bail!(help = "--logits names it", "no output is called `{}`", self.logits);
        }
        if self.width.is_some_and(|width| width != 1) {
            bail!("`{}` takes no single token", self.tokens);
        }
        Ok(())
    }

    /// Whether the caches have room for the prompt and all but the last token after it.
    fn fits(&self, count: NonZeroUsize) -> Result<()> {
        let needed = self.prompt.len().saturating_add(count.get() - 1);
        match self.places.filter(|&places| places < needed) {
            None => Ok(()),
            Some(places) => bail!("the caches of the model have {places} places, and {needed} are needed"),
        }
    }

    /// What the step takes whose tokens come after so many others.
    fn inputs(&self, tokens: &[i64], seen: usize) -> Result<Values> {
        let mut inputs = self.given.clone();
        let mut give = |port: &Port, numbers: &[i64]| -> Result<()> {
            inputs.push((port.name.clone(), numbered(port, numbers)?));
            Ok(())
        };
        give(&self.tokens, tokens)?;
        let total = seen + tokens.len();
        if let Some(port) = &self.positions {
            give(port, &(seen as i64..total as i64).collect::<Vec<_>>())?;
        }
        if let Some(port) = &self.mask {
            give(port, &vec![1; total])?;
        }
        Ok(inputs)
    }
}

/// How many numbers a port takes, where that is fixed.
fn width(port: &Port) -> Option<usize> {
    match port.shape.as_ref()?.last()? {
        Extent::Fixed(width) => Some(*width),
        Extent::Named(_) | Extent::Any => None,
    }
}

/// Tokens that a cache of fixed size keeps: `[batch, heads, places, width]`.
fn places(state: &Port) -> Option<usize> {
    match state.shape.as_deref()? {
        [_, _, Extent::Fixed(places), _] => Some(*places),
        _ => None,
    }
}

/// Numbers along the last axis of a port.
fn numbered(port: &Port, numbers: &[i64]) -> Result<Tensor> {
    let mut extents = vec![1; port.shape.as_ref().map_or(2, Vec::len)];
    if let Some(last) = extents.last_mut() {
        *last = numbers.len();
    }
    let tensor = match port.element {
        Some(Element::I32) => {
            let numbers = numbers.iter().map(|&number| i32::try_from(number)).collect::<Result<Vec<_>, _>>();
            Tensor::from_slice(Element::I32, extents.as_slice(), &numbers.into_diagnostic()?)
        }
        _ => Tensor::from_slice(Element::I64, extents.as_slice(), numbers),
    };
    let tensor = tensor.into_diagnostic()?;
    fitting(port, &tensor)?;
    Ok(tensor)
}

fn fitting(port: &Port, tensor: &Tensor) -> Result<()> {
    let spec: &Spec = tensor.spec();
    if port.admits(spec) { Ok(()) } else { Err(miette!("`{port}` does not take {spec}")) }
}

/// The tokens of one prompt: INT64 or INT32, `[n]` or `[1, n]`.
fn whole(prompt: &Tensor) -> Result<Vec<i64>> {
    let wrong = || miette!("a prompt is INT64[1, n] with a token at least, not {}", prompt.spec());
    if !matches!(prompt.spec().shape.extents(), [count] | [1, count] if *count > 0) {
        return Err(wrong());
    }
    let tokens = match prompt.spec().element {
        Element::I64 => prompt.to_vec(),
        Element::I32 => prompt.to_vec::<i32>().map(|tokens| tokens.into_iter().map(i64::from).collect()),
        _ => None,
    };
    tokens.ok_or_else(wrong)
}

/// The word with the best score in the last row; the first of those that are equal.
fn likeliest(scores: &Tensor) -> Result<i64> {
    let all: Option<Vec<f64>> = match scores.spec().element {
        Element::Fp16 => scores.to_vec::<f16>().map(|scores| scores.into_iter().map(f64::from).collect()),
        Element::Fp32 => scores.to_vec::<f32>().map(|scores| scores.into_iter().map(f64::from).collect()),
        Element::Fp64 => scores.to_vec(),
        _ => None,
    };
    let all = all.ok_or_else(|| miette!("words are scored in floats, not in {}", scores.spec()))?;
    let words = scores.spec().shape.extents().last().copied().unwrap_or(0);
    let last = all.len().checked_sub(words).and_then(|start| all.get(start..)).unwrap_or_default();
    if last.iter().any(|score| score.is_nan()) {
        bail!("the scores of the model are not numbers");
    }
    let better = |best: Option<(usize, f64)>, (word, &score): (usize, &f64)| match best {
        Some((_, least)) if score <= least => best,
        _ => Some((word, score)),
    };
    let best = last.iter().enumerate().fold(None, better);
    best.map(|(word, _)| word as i64).ok_or_else(|| miette!("the model scores no words"))
}

/// At once: whoever reads along waits for each. Who stopped reading still gets the file.
fn show(text: &str) {
    let mut out = std::io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
