//! Counts the people in view and says where they are: label 1 counts, label 2 is one person.

mod decode;

use burst_guest::{Event, Frame, Graph, Region, View, watcher};

const PEOPLE: u16 = 1;
const PERSON: u16 = 2;

/// What the model sees of a frame: FP32 `[1, 3, 96, 128]`, values from 0 to 1.
const VIEW: View = View::new(128, 96);

watcher!(watch, prepare);

/// A manifest without the model is refused at deploy.
fn prepare() -> Result<(), String> {
    Ok(Graph::open("people").map(drop)?)
}

fn watch(frame: Frame) -> Result<Vec<Event>, String> {
    let image = frame.tensor(VIEW)?;
    let seen = Graph::open("people")?.run(&[("image", &image)])?;
    let people = decode::people(&seen.get("scores")?.to_f32()?, &seen.get("boxes")?.to_f32()?)?;
    let place = |person: &decode::Person| Region::from_fractions(person.left, person.top, person.width, person.height);
    let persons = people.iter().map(|person| Event::detection(PERSON, person.score, place(person)));
    Ok([Event::count(PEOPLE, people.len())].into_iter().chain(persons).collect())
}
