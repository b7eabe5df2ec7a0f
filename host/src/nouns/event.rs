//! What may leave a guest that sees frames: typed, quantised, in the operator's words.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// An entry of a guest's vocabulary.
pub type Label = u16;

/// A place in the frame, in thousandths of its width and height, from its upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    pub left: u16,
    pub top: u16,
    pub width: u16,
    pub height: u16,
}

/// What a guest says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Detection {
        label: Label,
        /// In per cent.
        confidence: u8,
        region: Region,
    },
    Count {
        label: Label,
        value: u16,
    },
    Measure {
        label: Label,
        /// In steps of the vocabulary's unit.
        steps: i32,
    },
    State {
        label: Label,
        /// Into the states that the vocabulary lists.
        index: u8,
    },
}

impl Event {
    /// The vocabulary entry that it speaks of.
    pub fn label(&self) -> Label {
        match *self {
            Self::Detection { label, .. }
            | Self::Count { label, .. }
            | Self::Measure { label, .. }
            | Self::State { label, .. } => label,
        }
    }
}

/// What an entry may be used for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum VocabularyKind {
    Detection,
    Count,
    Measure {
        /// What one step is worth, in `unit`.
        step: f64,
        unit: String,
    },
    State {
        states: Vec<String>,
    },
}

/// One thing that a guest may speak of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VocabularyEntry {
    /// The number that the guest uses.
    pub id: Label,
    /// The word that clients see.
    pub name: String,
    /// `"detection"`, `"count"`, `{ measure = { step, unit } }` or `{ state = { states } }`.
    pub kind: VocabularyKind,
}

/// Everything that a guest may speak of, by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vocabulary(BTreeMap<Label, VocabularyEntry>);

impl Vocabulary {
    /// Collects entries; the first id that occurs twice is the error.
    pub fn new(entries: impl IntoIterator<Item = VocabularyEntry>) -> Result<Self, Label> {
        let mut words = BTreeMap::new();
        for entry in entries {
            let id = entry.id;
            if words.insert(id, entry).is_some() {
                return Err(id);
            }
        }
        Ok(Self(words))
    }

    /// The entry of this id.
    pub fn entry(&self, label: Label) -> Option<&VocabularyEntry> {
        self.0.get(&label)
    }
}

/// An event as it leaves the house, in the operator's words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    pub guest: Arc<str>,
    pub camera: Arc<str>,
    /// The frame that it speaks of.
    pub sequence: u64,
    /// When that frame was captured, in milliseconds since the Unix epoch.
    pub captured_ms: u64,
    /// The vocabulary's word.
    pub label: Arc<str>,
    #[serde(flatten)]
    pub value: RecordValue,
}

/// The part of a record that depends on the kind of event.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum RecordValue {
    Detection {
        /// In per cent.
        confidence: u8,
        region: Region,
    },
    Count {
        value: u16,
    },
    Measure {
        value: f64,
        unit: String,
    },
    State {
        state: String,
    },
}
