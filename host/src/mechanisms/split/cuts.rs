//! Chooses where to cut.

use super::{SplitError, Wanted, blocks, line::Line, weigh::Weighed};

/// Cuts that are compared with one another; of more, those that let the least through.
const CANDIDATES_MAX: usize = 512;

/// The places of the cuts, in order: where blocks repeat, else at minima, else anywhere.
pub(super) fn choose(line: &Line<'_>, weighed: &Weighed<'_>, wanted: Wanted) -> Result<Vec<usize>, SplitError> {
    if let (Wanted::MemoryMax(_), Some(name)) = (wanted, weighed.unknown()) {
        return Err(SplitError::Unknown(name.into()));
    }
    let minima = minima(weighed, line.steps.len());
    let anywhere = (1..line.steps.len()).filter(|&cut| weighed.crossing(cut).is_some()).collect();
    let mut refused = None;
    for candidates in [blocks::between(line, &minima), minima, anywhere] {
        match Table::new(line, weighed, lightest(weighed, candidates)).choose(wanted) {
            Ok(cuts) => return Ok(cuts),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or(SplitError::Parts { wanted: 0, max: 0 }))
}

/// Cuts that let less through than those around them. Of several alike the last: what is cheap to compute, such as an
/// activation, stays with what it follows.
fn minima(weighed: &Weighed<'_>, steps: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut falling = true;
    for cut in 1..steps {
        // A place that can't be cut is above everything.
        let [here, next] = [cut, cut + 1].map(|cut| weighed.crossing(cut).filter(|_| cut < steps).unwrap_or(u64::MAX));
        if next > here && falling {
            found.push(cut);
        }
        if next != here {
            falling = next < here;
        }
    }
    found
}

fn lightest(weighed: &Weighed<'_>, mut cuts: Vec<usize>) -> Vec<usize> {
    if cuts.len() > CANDIDATES_MAX {
        cuts.sort_by_key(|&cut| weighed.crossing(cut));
        cuts.truncate(CANDIDATES_MAX);
        cuts.sort_unstable();
    }
    cuts
}

/// What every fragment between two candidates would hold.
struct Table {
    /// The candidates, with the start and the end of the line.
    bounds: Vec<usize>,
    /// By start and end, as indices of `bounds`.
    bytes: Vec<Vec<u64>>,
}

impl Table {
    fn new(line: &Line<'_>, weighed: &Weighed<'_>, cuts: Vec<usize>) -> Self {
        let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([line.steps.len()]).collect();
        let row = |&start: &usize| {
            let lengths: Vec<u64> = weighed.memory(start).map(|memory| memory.total()).collect();
            let end = |&end: &usize| if end > start { lengths.get(end - start - 1).copied() } else { None };
            bounds.iter().map(|bound| end(bound).unwrap_or(u64::MAX)).collect()
        };
        let bytes = bounds.iter().map(row).collect();
        Self { bounds, bytes }
    }

    fn choose(&self, wanted: Wanted) -> Result<Vec<usize>, SplitError> {
        let max = self.bounds.len() - 1;
        match wanted {
            Wanted::Parts(parts) => {
                let refused = SplitError::Parts { wanted: parts.get(), max };
                self.even(parts.get(), u64::MAX).ok_or(refused)
            }
            Wanted::MemoryMax(limit) => {
                let refused = || SplitError::Memory { limit, least: self.least() };
                let parts = self.fewest(limit).ok_or_else(refused)?;
                self.even(parts, limit).ok_or_else(refused)
            }
        }
    }

    /// The fewest fragments within a limit: each as long as it may be. A longer one never holds less.
    fn fewest(&self, limit: u64) -> Option<usize> {
        let (mut at, mut parts) = (0, 0);
        while at + 1 < self.bounds.len() {
            at = (at + 1..self.bounds.len()).take_while(|&end| self.bytes[at][end] <= limit).last()?;
            parts += 1;
        }
        Some(parts)
    }

    /// What the largest fragment holds where every candidate is a cut.
    fn least(&self) -> u64 {
        (1..self.bounds.len()).map(|end| self.bytes[end - 1][end]).max().unwrap_or(0)
    }

    /// Exactly `parts` fragments within a limit, with the least sum of squares: the more equal, the less.
    fn even(&self, parts: usize, limit: u64) -> Option<Vec<usize>> {
        let count = self.bounds.len();
        if parts >= count {
            return None;
        }
        // costs[end] and the start that gives it, for one fragment more in each round.
        let mut costs = vec![f64::INFINITY; count];
        costs[0] = 0.0;
        let mut starts = Vec::new();
        for _ in 0..parts {
            let best = |end: usize| {
                let cost = |start: usize| {
                    let bytes = self.bytes[start][end];
                    let square = if bytes > limit { f64::INFINITY } else { (bytes as f64).powi(2) };
                    (costs[start] + square, start)
                };
                (0..end).map(cost).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::INFINITY, 0))
            };
            let (next, from): (Vec<f64>, Vec<usize>) = (0..count).map(best).unzip();
            costs = next;
            starts.push(from);
        }
        if costs[count - 1].is_infinite() {
            return None;
        }
        let mut cuts = Vec::new();
        let mut end = count - 1;
        for from in starts.iter().rev() {
            end = from[end];
            cuts.push(self.bounds[end]);
        }
        cuts.pop();
        cuts.reverse();
        Some(cuts)
    }
}
