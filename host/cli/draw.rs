//! A placement as SVG: the stages in a row, how long each computes, receives, and what it holds.

use super::{
    placement::{bottleneck, milliseconds},
    size::Size,
};
use burst_host::{
    mechanisms::place::{Bottleneck, Cluster, Placement, Stage},
    nouns::Plan,
};
use std::fmt::Write as _;

/// A stage's box and the gap to the next, in pixels.
const WIDTH: usize = 200;
const GAP: usize = 130;
const HEIGHT: usize = 120;
const MARGIN: usize = 20;
/// Above the stages: what the whole does.
const HEAD: usize = 70;

const PLAIN: &str = "#4a6fa5";
const WORST: &str = "#c0392b";

/// Draws who runs what.
pub fn placement(plan: &Plan, cluster: &Cluster, placement: &Placement) -> String {
    let count = placement.stages.len();
    let width = 2 * MARGIN + count * WIDTH + count.saturating_sub(1) * GAP;
    let height = HEAD + HEIGHT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let latency = milliseconds(placement.latency_us());
    let rate = 1e6 / placement.interval_us();
    text(&mut svg, MARGIN, 25, &format!("{}: {latency} a request, {rate:.1} requests a second", plan.model));
    text(&mut svg, MARGIN, 45, &format!("bottleneck: {}", bottleneck(cluster, placement)));
    for (index, stage) in placement.stages.iter().enumerate() {
        let x = MARGIN + index * (WIDTH + GAP);
        let worst = |part| if placement.bottleneck() == Some(part) { WORST } else { PLAIN };
        if index > 0 {
            arrow(&mut svg, x, stage, worst(Bottleneck::Receive(index)));
        }
        let share = stage.compute_us / placement.interval_us();
        draw_stage(&mut svg, x, stage, cluster, share, worst(Bottleneck::Compute(index)));
    }
    svg + "</svg>\n"
}

/// A box with two bars: the share of the interval that it computes, and of the memory that it holds.
fn draw_stage(svg: &mut String, x: usize, stage: &Stage, cluster: &Cluster, share: f64, colour: &str) {
    let node = &cluster.nodes[stage.node];
    let held = stage.memory_bytes as f64 / node.memory_bytes.max(1) as f64;
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{HEAD}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\" fill=\"none\" stroke=\"{colour}\"/>"
    );
    let x = x + 10;
    text(svg, x, HEAD + 20, &node.name);
    text(svg, x, HEAD + 38, &format!("fragments {} to {}", stage.fragments.start, stage.fragments.end - 1));
    text(svg, x, HEAD + 60, &format!("computes {}", milliseconds(stage.compute_us)));
    bar(svg, x, HEAD + 65, share, colour);
    text(svg, x, HEAD + 93, &format!("{} of {}", Size(stage.memory_bytes), Size(node.memory_bytes)));
    bar(svg, x, HEAD + 98, held, PLAIN);
}

fn bar(svg: &mut String, x: usize, y: usize, share: f64, colour: &str) {
    let full = WIDTH - 20;
    let part = (full as f64 * share.clamp(0.0, 1.0)).round();
    let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{full}\" height=\"6\" fill=\"#e3e8ef\"/>");
    let _ = writeln!(svg, "<rect x=\"{x}\" y=\"{y}\" width=\"{part}\" height=\"6\" fill=\"{colour}\"/>");
}

/// From the stage before, with what crosses and how long it takes.
fn arrow(svg: &mut String, x: usize, stage: &Stage, colour: &str) {
    let (from, to, y) = (x - GAP + 6, x - 6, HEAD + HEIGHT / 2);
    let _ = writeln!(svg, "<path d=\"M{from} {y} H{to} m-8 -5 l8 5 l-8 5\" fill=\"none\" stroke=\"{colour}\"/>");
    text(svg, from + 6, y - 8, &Size(stage.received_bytes).to_string());
    text(svg, from + 6, y + 18, &milliseconds(stage.receive_us));
}

fn text(svg: &mut String, x: usize, y: usize, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{}</text>", escaped(words));
}

/// Names of nodes and models are somebody's words.
fn escaped(words: &str) -> String {
    let mut plain = String::new();
    for c in words.chars() {
        match c {
            '&' => plain += "&amp;",
            '<' => plain += "&lt;",
            '>' => plain += "&gt;",
            c if c.is_control() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_stay_words() {
        assert_eq!(super::escaped("a<b & \"c\"\n>"), "a&lt;b &amp; \"c\" &gt;");
    }
}
